/* The configuration of the gateway: any bytes give a configuration or a named error. */
#include "support/fuzz.h"

#include <weir/gateway.h>

#include <stdlib.h>
#include <string.h>

static const char *variable(const char *name, void *user)
{
    (void)user;
    return strlen(name) % 2 == 0 ? "127.0.0.1:1" : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir_gateway_config *config;
    weir_gateway_error error;
    int const result =
        weir_gateway_config_parse(&config, (const char *)data, size, variable, NULL, NULL, &error);
    if ((result == WEIR_OK) != (config != NULL) ||
        (result == WEIR_EINVAL && error.field[0] == '\0'))
        abort();
    weir_gateway_config_destroy(config);
    return 0;
}
