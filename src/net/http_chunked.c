#include "net/http_chunked.h"

#include "net/http_syntax.h"

#define WEIR__HTTP_MAX_CHUNK_DIGITS 16 /* As many as a 64-bit size has. */

typedef enum chunked_state {
    CHUNKED_SIZE,  /* Hexadecimal digits. */
    CHUNKED_BLANK, /* Blanks where only ';' may follow. */
    CHUNKED_EXT,   /* After ';'. */
    CHUNKED_EXT_NAME,
    CHUNKED_EXT_NAMED,  /* Blanks after the name. */
    CHUNKED_EXT_EQUALS, /* After '='. */
    CHUNKED_EXT_TOKEN,
    CHUNKED_EXT_QUOTED,
    CHUNKED_EXT_ESCAPED, /* After a backslash. */
    CHUNKED_EXT_VALUED,  /* After the closing quote. */
    CHUNKED_SIZE_LF,
    CHUNKED_DATA,
    CHUNKED_DATA_CR,
    CHUNKED_DATA_LF,
    CHUNKED_TRAILER, /* The begin of a line. */
    CHUNKED_TRAILER_NAME,
    CHUNKED_TRAILER_VALUE,
    CHUNKED_TRAILER_LF,
    CHUNKED_LAST_LF,
    CHUNKED_END,
    CHUNKED_FAILED,
} chunked_state;

void weir__http_chunked_init(weir__http_chunked *chunked, uint64_t max_body, uint64_t overhead)
{
    *chunked =
        (weir__http_chunked){.max_body = max_body, .overhead = overhead, .state = CHUNKED_SIZE};
}

static chunked_state chunked_fail(weir__http_chunked *chunked, int code, const char *reason)
{
    chunked->code = code;
    chunked->reason = reason;
    return CHUNKED_FAILED;
}

static int chunked_digit(unsigned char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* What a byte is to the extensions of a chunk (RFC 9112, 7.1.1). */
typedef enum chunked_class {
    CHUNKED_IS_BLANK,
    CHUNKED_IS_TOKEN,
    CHUNKED_IS_EQUALS,
    CHUNKED_IS_SEMICOLON,
    CHUNKED_IS_QUOTE,
    CHUNKED_IS_BACKSLASH,
    CHUNKED_IS_CR,
    CHUNKED_IS_TEXT, /* Allowed between quotes only. */
    CHUNKED_IS_BAD,
    CHUNKED_CLASSES,
} chunked_class;

static chunked_class chunked_classify(unsigned char byte)
{
    switch (byte) {
    case '=': return CHUNKED_IS_EQUALS;
    case ';': return CHUNKED_IS_SEMICOLON;
    case '"': return CHUNKED_IS_QUOTE;
    case '\\': return CHUNKED_IS_BACKSLASH;
    case '\r': return CHUNKED_IS_CR;
    default: break;
    }
    if (weir__http_is(byte, WEIR__HTTP_BLANK))
        return CHUNKED_IS_BLANK;
    if (weir__http_is(byte, WEIR__HTTP_TCHAR))
        return CHUNKED_IS_TOKEN;
    return weir__http_is(byte, WEIR__HTTP_VALUE) ? CHUNKED_IS_TEXT : CHUNKED_IS_BAD;
}

/* The byte is in the extensions, or ends them or the size. CHUNKED_SIZE: it may not come here. */
static chunked_state chunked_extension(weir__http_chunked *chunked, chunked_state state,
                                       unsigned char byte)
{
    enum {
        NO = CHUNKED_SIZE,
        BLANK = CHUNKED_BLANK,
        EXT = CHUNKED_EXT,
        NAME = CHUNKED_EXT_NAME,
        NAMED = CHUNKED_EXT_NAMED,
        EQUALS = CHUNKED_EXT_EQUALS,
        TOKEN = CHUNKED_EXT_TOKEN,
        QUOTED = CHUNKED_EXT_QUOTED,
        ESCAPED = CHUNKED_EXT_ESCAPED,
        VALUED = CHUNKED_EXT_VALUED,
        LF = CHUNKED_SIZE_LF,
    };
    static const unsigned char next[][CHUNKED_CLASSES] = {
        /* Columns: blank, token, =, ;, ", \, CR, text, bad. */
        [BLANK] = {BLANK, NO, NO, EXT, NO, NO, NO, NO, NO},
        [EXT] = {EXT, NAME, NO, NO, NO, NO, NO, NO, NO},
        [NAME] = {NAMED, NAME, EQUALS, EXT, NO, NO, LF, NO, NO},
        [NAMED] = {NAMED, NO, EQUALS, EXT, NO, NO, NO, NO, NO},
        [EQUALS] = {EQUALS, TOKEN, NO, NO, QUOTED, NO, NO, NO, NO},
        [TOKEN] = {BLANK, TOKEN, NO, EXT, NO, NO, LF, NO, NO},
        [QUOTED] = {QUOTED, QUOTED, QUOTED, QUOTED, VALUED, ESCAPED, NO, QUOTED, NO},
        [ESCAPED] = {QUOTED, QUOTED, QUOTED, QUOTED, QUOTED, QUOTED, NO, QUOTED, NO},
        [VALUED] = {BLANK, NO, NO, EXT, NO, NO, LF, NO, NO},
    };
    unsigned char const to = next[state][chunked_classify(byte)];
    if (to == NO)
        return chunked_fail(chunked, WEIR_EPROTOCOL, "malformed chunk extension");
    return (chunked_state)to;
}

static chunked_state chunked_size(weir__http_chunked *chunked, unsigned char byte)
{
    int const digit = chunked_digit(byte);
    if (digit >= 0) {
        if (++chunked->digits > WEIR__HTTP_MAX_CHUNK_DIGITS)
            return chunked_fail(chunked, WEIR_EPROTOCOL, "chunk size overflows");
        chunked->left = chunked->left << 4 | (unsigned)digit;
        return CHUNKED_SIZE;
    }
    if (chunked->digits == 0)
        return chunked_fail(chunked, WEIR_EPROTOCOL, "chunk without a size");
    return chunked_extension(chunked, CHUNKED_EXT_VALUED, byte); /* What ends a value ends it. */
}

/* The size line is complete. */
static chunked_state chunked_begin(weir__http_chunked *chunked)
{
    chunked->digits = 0;
    if (chunked->left == 0)
        return CHUNKED_TRAILER;
    if (chunked->left > chunked->max_body) {
        chunked->body_too_large = true;
        return chunked_fail(chunked, WEIR_ETOOLARGE, "body over the limit");
    }
    chunked->max_body -= chunked->left;
    return CHUNKED_DATA;
}

static chunked_state chunked_trailer(weir__http_chunked *chunked, unsigned char byte)
{
    if (chunked->state == CHUNKED_TRAILER && byte == '\r')
        return CHUNKED_LAST_LF;
    if (chunked->state == CHUNKED_TRAILER_VALUE) {
        if (byte == '\r')
            return CHUNKED_TRAILER_LF;
        if (weir__http_is(byte, WEIR__HTTP_VALUE))
            return CHUNKED_TRAILER_VALUE;
    } else if (weir__http_is(byte, WEIR__HTTP_TCHAR)) {
        return CHUNKED_TRAILER_NAME;
    } else if (chunked->state == CHUNKED_TRAILER_NAME && byte == ':') {
        return CHUNKED_TRAILER_VALUE;
    }
    return chunked_fail(chunked, WEIR_EPROTOCOL, "malformed trailer field");
}

static chunked_state chunked_expect(weir__http_chunked *chunked, unsigned char byte, char expected,
                                    chunked_state next)
{
    if (byte == (unsigned char)expected)
        return next;
    return chunked_fail(chunked, WEIR_EPROTOCOL, "malformed line end in chunked body");
}

static chunked_state chunked_step(weir__http_chunked *chunked, unsigned char byte)
{
    switch (chunked->state) {
    case CHUNKED_SIZE: return chunked_size(chunked, byte);
    case CHUNKED_SIZE_LF:
        return byte == '\n' ? chunked_begin(chunked)
                            : chunked_expect(chunked, byte, '\n', CHUNKED_DATA);
    case CHUNKED_DATA_CR: return chunked_expect(chunked, byte, '\r', CHUNKED_DATA_LF);
    case CHUNKED_DATA_LF: return chunked_expect(chunked, byte, '\n', CHUNKED_SIZE);
    case CHUNKED_TRAILER_LF: return chunked_expect(chunked, byte, '\n', CHUNKED_TRAILER);
    case CHUNKED_LAST_LF: return chunked_expect(chunked, byte, '\n', CHUNKED_END);
    default: break;
    }
    /* Extensions and trailers cost the peer; an endless series of them would cost us. */
    if (chunked->overhead-- == 0)
        return chunked_fail(chunked, WEIR_ETOOLARGE, "chunk extensions or trailers over the limit");
    return chunked->state < CHUNKED_SIZE_LF
               ? chunked_extension(chunked, (chunked_state)chunked->state, byte)
               : chunked_trailer(chunked, byte);
}

weir__http_event weir__http_chunked_next(weir__http_chunked *chunked, weir_http_slice *in,
                                         weir_http_slice *data)
{
    for (;;) {
        if (chunked->state == CHUNKED_END)
            return WEIR__HTTP_END;
        if (chunked->state == CHUNKED_FAILED)
            return WEIR__HTTP_FAILED;
        if (in->size == 0)
            return WEIR__HTTP_MORE;
        if (chunked->state == CHUNKED_DATA)
            break;
        chunked->state = (int)chunked_step(chunked, (unsigned char)*in->data);
        in->data++;
        in->size--;
    }
    *data = (weir_http_slice){in->data, in->size};
    if (data->size > chunked->left)
        data->size = (size_t)chunked->left;
    in->data += data->size;
    in->size -= data->size;
    chunked->left -= data->size;
    if (chunked->left == 0)
        chunked->state = CHUNKED_DATA_CR;
    return WEIR__HTTP_BODY;
}
