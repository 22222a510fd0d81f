/* Durations: an error points into the text; a value survives being written and read again. */
#include "support/fuzz.h"

#include "base/number.h"

#include <inttypes.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *const text = (const char *)data;
    weir__number_error error = {.what = NULL};
    uint64_t ns = 0;
    if (!weir__number_duration(text, size, 0, UINT64_MAX, &ns, &error)) {
        FUZZ_CHECK(error.what != NULL && error.at <= size);
        return 0;
    }
    char again[64];
    uint64_t twice = 0;
    int const length = snprintf(again, sizeof again, "%" PRIu64 ".%09" PRIu64 "s", ns / 1000000000,
                                ns % 1000000000);
    FUZZ_CHECK(weir__number_duration(again, (size_t)length, ns, ns, &twice, &error) && twice == ns);
    return 0;
}
