#include "base/search.h"

#include <string.h>

void weir__search_init(weir__search *search, const void *pattern, size_t size)
{
    *search = (weir__search){.size = (uint8_t)size};
    if (size > 0)
        memcpy(search->pattern, pattern, size);
    size_t border = 0;
    for (size_t i = 1; i < size; i++) {
        while (border > 0 && search->pattern[i] != search->pattern[border])
            border = search->fallback[border - 1];
        border += search->pattern[i] == search->pattern[border];
        search->fallback[i] = (uint8_t)border;
    }
}

void weir__search_restart(weir__search *search)
{
    search->matched = 0;
}

bool weir__search_feed(weir__search *search, const void *data, size_t size)
{
    const uint8_t *const bytes = data;
    for (size_t i = 0; i < size && search->matched < search->size; i++) {
        while (search->matched > 0 && bytes[i] != search->pattern[search->matched])
            search->matched = search->fallback[search->matched - 1];
        if (bytes[i] == search->pattern[search->matched])
            search->matched++;
    }
    return search->matched == search->size;
}
