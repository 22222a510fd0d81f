#include <weir/kv.h>

#include <string.h>

weir_kv_keys weir_kv_prefix(weir_bytes prefix, void *end)
{
    static const unsigned char first[1];
    unsigned char *const bytes = end;
    size_t size = prefix.size;
    if (size > 0)
        memcpy(bytes, prefix.data, size);
    while (size > 0 && bytes[size - 1] == 0xFF)
        size--;
    if (size > 0)
        bytes[size - 1]++;
    else
        bytes[size++] = 0;
    return (weir_kv_keys){.key = prefix.size > 0 ? prefix : (weir_bytes){first, 1},
                          .end = {bytes, size}};
}
