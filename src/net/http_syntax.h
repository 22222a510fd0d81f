/* The characters and lists of HTTP (RFC 9110, 5.6). */
#ifndef WEIR_SRC_HTTP_SYNTAX_H
#define WEIR_SRC_HTTP_SYNTAX_H

#include <weir/http.h>

/* Classes of bytes; a byte is in several. */
enum {
    WEIR__HTTP_TCHAR = 1,  /* Of a token. */
    WEIR__HTTP_VALUE = 2,  /* Of a field value: visible, blank, tab, and 0x80 up. */
    WEIR__HTTP_TARGET = 4, /* Of a request target: visible ASCII that a URI may have. */
    WEIR__HTTP_HOST = 8,   /* Of a registered name or IPv4 address. */
    WEIR__HTTP_BLANK = 16, /* Space and tab. */
};

extern const unsigned char weir__http_class[256];

static inline bool weir__http_is(unsigned char byte, unsigned char classes)
{
    return (weir__http_class[byte] & classes) != 0;
}

bool weir__http_all(weir_http_slice slice, unsigned char classes); /* True for an empty one. */
weir_http_slice weir__http_trim(weir_http_slice slice);            /* Of blanks at both ends. */
/* Same bytes, ignoring ASCII case. */
bool weir__http_same(weir_http_slice a, weir_http_slice b);
/* The next element of a comma-separated list, trimmed; false at its end. Empty ones are told. */
bool weir__http_list_next(weir_http_slice *list, weir_http_slice *element);
/* host [":" port] as in Host; an empty one is valid. */
bool weir__http_authority_valid(weir_http_slice authority);
/* Left out of what is sent: the library writes these itself. */
bool weir__http_owns(weir_http_slice name);

#endif
