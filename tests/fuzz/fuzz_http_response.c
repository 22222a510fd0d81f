/* Responses, to HEAD and to others: a parse of single bytes, and of cuts that the input chooses,
 * tells what a parse of the whole tells; heads keep to their limits. */
#include "support/fuzz.h"
#include "support/http_parse.h"

static parse_trace whole, single, cuts;

static void parse_with(parse_trace *trace, const uint8_t *data, size_t size, size_t cut)
{
    static const weir__http_limits limits = {.header_bytes = 1024,
                                             .headers = 16,
                                             .target_bytes = 256,
                                             .body_bytes = 4096};
    weir_env env;
    FUZZ_CHECK(weir__env_load(&env, NULL) == WEIR_OK);
    weir__http_parser parser;
    weir__http_parser_init(&parser, &env, true, &limits);
    parser.to_head = size % 2 == 1;
    parse_all(trace, &parser, (const char *)data, size, cut);
    FUZZ_CHECK(parser.size <= limits.header_bytes && parser.capacity <= 1024);
    FUZZ_CHECK(parser.count <= limits.headers);
    weir__http_parser_free(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    parse_with(&whole, data, size, size > 0 ? size : 1);
    parse_with(&single, data, size, 1);
    parse_with(&cuts, data, size, size > 0 ? 2U + data[size / 2] % 61U : 1);
    FUZZ_CHECK(strcmp(whole.text, single.text) == 0);
    FUZZ_CHECK(strcmp(whole.text, cuts.text) == 0);
    return 0;
}
