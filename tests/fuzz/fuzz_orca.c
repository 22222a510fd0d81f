/* What peers put in headers: load reports, and cookies. */
#include "support/fuzz.h"

#include "gateway/affinity.h"
#include "gateway/orca.h"

#include <string.h>

static void read_cookie(weir_http_slice value)
{
    char id[WEIR__STICKY_SIZE];
    weir__key_config const key = {.source = WEIR__KEY_COOKIE, .name = "id"};
    weir_http_header const header = {weir_http_str("Cookie"), value};
    weir_http_request const request = {.headers = &header, .header_count = 1};
    if (weir__affinity_member(&key, &request, id))
        FUZZ_CHECK(id[0] != '\0' && strlen(id) < WEIR__STICKY_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir_load_report report;
    weir_http_slice const text = {(const char *)data, size};
    if (weir__orca_parse(text, &report) && (report.calls_per_s < 0 || report.errors_per_s < 0 ||
                                            report.utilization < 0 || report.calls_per_s > 1e15))
        abort();
    if (memchr(data, '\0', size) == NULL) /* Headers have none. */
        read_cookie(text);
    return 0;
}
