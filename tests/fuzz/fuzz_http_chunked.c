/* The chunked coding: what is decoded does not depend on the cuts, keeps to its limits, and comes
 * out again of what is encoded from the same bytes. */
#include "support/fuzz.h"

#include "net/http_chunked.h"
#include "net/http_write.h"

typedef struct decoded {
    uint8_t *data;
    size_t size;
    weir__http_event end;
    const char *reason;
    size_t taken; /* Of the input, up to the end. */
} decoded;

enum { FUZZ_MAX_BODY = 2000, FUZZ_OVERHEAD = 200 };

static void decoded_add(decoded *out, weir_http_slice part, size_t room)
{
    FUZZ_CHECK(part.size > 0 && out->size + part.size <= room);
    memcpy(out->data + out->size, part.data, part.size);
    out->size += part.size;
}

static decoded decode(const char *data, size_t size, size_t cut, uint64_t max_body)
{
    decoded out = {.data = malloc(size + 1), .end = WEIR__HTTP_MORE};
    FUZZ_CHECK(out.data != NULL);
    weir__http_chunked chunked;
    weir__http_chunked_init(&chunked, max_body, FUZZ_OVERHEAD);
    for (size_t at = 0; at < size && out.end == WEIR__HTTP_MORE; at += cut) {
        weir_http_slice in = {data + at, size - at < cut ? size - at : cut};
        weir_http_slice part = {NULL, 0};
        while ((out.end = weir__http_chunked_next(&chunked, &in, &part)) == WEIR__HTTP_BODY)
            decoded_add(&out, part, size);
        out.taken = (size_t)(in.data - data);
        FUZZ_CHECK(out.end != WEIR__HTTP_MORE || in.size == 0);
    }
    out.reason = chunked.reason;
    FUZZ_CHECK(out.size <= max_body);
    return out;
}

static void check_same(const decoded *a, const decoded *b)
{
    FUZZ_CHECK(a->end == b->end && a->size == b->size && a->taken == b->taken);
    FUZZ_CHECK(a->reason == b->reason);
    FUZZ_CHECK(a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static void check_round_trip(const uint8_t *data, size_t size)
{
    static const char last_chunk[] = {'0', '\r', '\n', '\r', '\n'};
    size_t const chunk = size > 0 ? 1U + data[0] % 100U : 1;
    size_t const room = (size / chunk + 1) * (WEIR__HTTP_CHUNK_HEAD_SIZE + 2) + size + 5;
    char *const text = malloc(room);
    FUZZ_CHECK(text != NULL);
    size_t length = 0;
    for (size_t at = 0; at < size; at += chunk) {
        size_t const part = size - at < chunk ? size - at : chunk;
        char head[WEIR__HTTP_CHUNK_HEAD_SIZE];
        size_t const head_size = weir__http_write_chunk_head(head, part);
        memcpy(text + length, head, head_size);
        memcpy(text + length + head_size, data + at, part);
        text[length + head_size + part] = '\r';
        text[length + head_size + part + 1] = '\n';
        length += head_size + part + 2;
    }
    memcpy(text + length, last_chunk, sizeof last_chunk);
    decoded const out = decode(text, length + 5, length + 5, UINT64_MAX);
    FUZZ_CHECK(out.end == WEIR__HTTP_END && out.taken == length + 5 && out.size == size);
    FUZZ_CHECK(size == 0 || memcmp(out.data, data, size) == 0);
    free(out.data);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *const text = (const char *)data;
    decoded const whole = decode(text, size, size > 0 ? size : 1, FUZZ_MAX_BODY);
    decoded const single = decode(text, size, 1, FUZZ_MAX_BODY);
    decoded const cuts = decode(text, size, 7, FUZZ_MAX_BODY);
    check_same(&whole, &single);
    check_same(&whole, &cuts);
    free(whole.data);
    free(single.data);
    free(cuts.data);
    check_round_trip(data, size);
    return 0;
}
