/* Plain numbers, sizes and percentages: an error points into the text, a value is in range. */
#include "support/fuzz.h"

#include "base/number.h"

#include <inttypes.h>
#include <string.h>

static void check_error(weir__number_error error, size_t size)
{
    FUZZ_CHECK(error.what != NULL && error.at <= size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *const text = (const char *)data;
    weir__number_error error = {.what = NULL};
    uint64_t value = 0;
    uint32_t milli = 0;
    if (weir__number_u64(text, size, 0, UINT64_MAX, &value, &error)) {
        char again[24];
        int const length = snprintf(again, sizeof again, "%" PRIu64, value);
        size_t zeros = 0;
        while (zeros + 1 < size && text[zeros] == '0')
            zeros++;
        FUZZ_CHECK((size_t)length == size - zeros &&
                   memcmp(again, text + zeros, size - zeros) == 0);
    } else {
        check_error(error, size);
    }
    if (weir__number_size(text, size, 10, 100000, &value, &error))
        FUZZ_CHECK(value >= 10 && value <= 100000);
    else
        check_error(error, size);
    if (weir__number_percent(text, size, &milli, &error))
        FUZZ_CHECK(milli <= 100000 && text[size - 1] == '%');
    else
        check_error(error, size);
    return 0;
}
