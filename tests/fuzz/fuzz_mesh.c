/* A directive of a service and its value: put in force, or refused by name, and never half of it.
 * The first line is the directive, the rest its value. */
#include "support/fuzz.h"

#include <weir/mesh.h>

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[64];
    weir_mesh_error error;
    size_t length = 0;
    while (length < size && length < sizeof name - 1 && data[length] != '\n')
        length++;
    if (length > 0)
        memcpy(name, data, length);
    name[length] = '\0';
    size_t const at = length < size ? length + 1 : size;
    int const result = weir_mesh_check(name, (weir_bytes){data + at, size - at}, NULL, &error);
    FUZZ_CHECK(result == WEIR_OK || result == WEIR_EINVAL || result == WEIR_ENOTFOUND);
    FUZZ_CHECK((result == WEIR_EINVAL) == (error.field[0] != '\0'));
    FUZZ_CHECK((result == WEIR_EINVAL) == (error.message[0] != '\0'));
    return 0;
}
