/* The HTTP parser, by tables out of RFC 9110 and RFC 9112. Each case runs in one piece and in
 * cuts of 1, 2, 3 and 7 bytes: what is told must be the same. */
#include "support/fake_env.h"

#include "support/http_parse.h"

#include "net/http_syntax.h"
#include "net/http_write.h"

typedef struct parse_case {
    const char *in;
    const char *told;
} parse_case;

static const weir__http_limits small_limits = {.header_bytes = 512,
                                               .headers = 5,
                                               .target_bytes = 64,
                                               .body_bytes = 1000};

static parse_trace trace;

static void check(bool responses, bool to_head, const weir__http_limits *limits,
                  const parse_case *cases, size_t count)
{
    static const size_t cuts[] = {100000, 1, 2, 3, 7};
    fake_env fake = {.now_ns = 0};
    weir_env const env = fake_env_hooks(&fake);
    for (size_t i = 0; i < count; i++) {
        for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++) {
            weir__http_parser parser;
            weir__http_parser_init(&parser, &env, responses, limits);
            parser.to_head = to_head;
            parse_all(&trace, &parser, cases[i].in, strlen(cases[i].in), cuts[c]);
            assert_string_equal(trace.text, cases[i].told);
            weir__http_parser_free(&parser);
            assert_int_equal(fake.live_bytes, 0);
        }
    }
}

#define CHECK_REQUESTS(cases)                                                                      \
    check(false, false, &small_limits, cases, sizeof(cases) / sizeof *(cases))
#define CHECK_RESPONSES(cases)                                                                     \
    check(true, false, &small_limits, cases, sizeof(cases) / sizeof *(cases))

#define GET11(rest)          "GET / HTTP/1.1\r\nHost: a\r\n" rest "\r\n"
#define POST(headers, body)  "POST /p HTTP/1.1\r\nHost: a\r\n" headers "\r\n" body
#define REFUSED(status, why) "failed " #status " " why "\n"

static void reads_requests(void **state)
{
    (void)state;
    static const parse_case cases[] = {
        {GET11(""), "GET /|/|a|1.1|size=0|keep|Host=a\nend\n"},
        {"\r\n" GET11(""), "GET /|/|a|1.1|size=0|keep|Host=a\nend\n"},
        {GET11("") GET11("X: 1\r\n"), "GET /|/|a|1.1|size=0|keep|Host=a\nend\n"
                                      "GET /|/|a|1.1|size=0|keep|Host=a|X=1\nend\n"},
        {GET11("X:\r\nY: \t b c \t\r\n"), "GET /|/|a|1.1|size=0|keep|Host=a|X=|Y=b c\nend\n"},
        {GET11("X: \xc3\xa9\r\n"), "GET /|/|a|1.1|size=0|keep|Host=a|X=\xc3\xa9\nend\n"},
        {"GET /a?b=c&d HTTP/1.0\r\n\r\n", "GET /a?b=c&d|/a?b=c&d||1.0|size=0|close\nend\n"},
        {"GET / HTTP/1.7\r\nHost: a\r\n\r\n", "GET /|/|a|1.1|size=0|keep|Host=a\nend\n"},
        {"M-SEARCH * HTTP/1.1\r\nHost: a\r\n\r\n", REFUSED(400, "malformed request target")},
        {"OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n", "OPTIONS *|*||1.1|size=0|keep|Host=\nend\n"},
        {"GET http://h:80/x HTTP/1.1\r\nHost: H:80\r\n\r\n",
         "GET http://h:80/x|/x|h:80|1.1|size=0|keep|Host=H:80\nend\n"},
        {"GET HTTPS://[::1] HTTP/1.0\r\n\r\n", "GET HTTPS://[::1]|/|[::1]|1.0|size=0|close\nend\n"},
        {"GET / HTTP/1.1\r\nhost: [::1]:8080\r\n\r\n",
         "GET /|/|[::1]:8080|1.1|size=0|keep|host=[::1]:8080\nend\n"},
        {"GET / HTTP/1.1\r\nHost: a", "failed 400 closed within the head\n"},
        {"", ""},
    };
    CHECK_REQUESTS(cases);
}

static void knows_which_requests_keep_the_connection(void **state)
{
    (void)state;
    static const parse_case cases[] = {
        {GET11("Connection: close\r\n"),
         "GET /|/|a|1.1|size=0|close|Host=a|Connection=close\nend\n"},
        {GET11("Connection: x ,, CLOSE\r\n"),
         "GET /|/|a|1.1|size=0|close|Host=a|Connection=x ,, CLOSE\nend\n"},
        {GET11("Connection: closed\r\n"),
         "GET /|/|a|1.1|size=0|keep|Host=a|Connection=closed\nend\n"},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
         "GET /|/||1.0|size=0|keep|Connection=Keep-Alive\nend\n"},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
         "GET /|/||1.0|size=0|close|Connection=keep-alive, close\nend\n"},
    };
    CHECK_REQUESTS(cases);
}

static void reads_request_bodies(void **state)
{
    (void)state;
    static const parse_case cases[] = {
        {POST("Content-Length: 5\r\n", "hello"),
         "POST /p|/p|a|1.1|size=5|keep|Host=a|Content-Length=5\nbody:hello\nend\n"},
        {POST("Content-Length: 0\r\n", ""),
         "POST /p|/p|a|1.1|size=0|keep|Host=a|Content-Length=0\nend\n"},
        {POST("Content-Length: 0005\r\n", "hello"),
         "POST /p|/p|a|1.1|size=5|keep|Host=a|Content-Length=0005\nbody:hello\nend\n"},
        {POST("Content-Length: 5\r\n", "hel"),
         "POST /p|/p|a|1.1|size=5|keep|Host=a|Content-Length=5\nbody:hel\n"
         "failed 400 closed within the body\n"},
        {POST("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n00B\r\n big worlds\r\n0\r\n\r\n"),
         "POST /p|/p|a|1.1|size=?|keep|Host=a|Transfer-Encoding=chunked\n"
         "body:hello big worlds\nend\n"},
        {POST("Transfer-Encoding: Chunked\r\n", "0\r\nTrailer: x\r\nb:\r\n\r\n") GET11(""),
         "POST /p|/p|a|1.1|size=?|keep|Host=a|Transfer-Encoding=Chunked\nend\n"
         "GET /|/|a|1.1|size=0|keep|Host=a\nend\n"},
    };
    CHECK_REQUESTS(cases);
}

static void refuses_malformed_request_lines(void **state)
{
    (void)state;
    static const parse_case cases[] = {
        {"GET /\r\n\r\n", REFUSED(400, "malformed request line")},
        {"GET  / HTTP/1.1\r\n\r\n", REFUSED(400, "malformed request line")},
        {" GET / HTTP/1.1\r\n\r\n", REFUSED(400, "malformed method")},
        {"G(T / HTTP/1.1\r\n\r\n", REFUSED(400, "malformed method")},
        {"\r\n\r\nGET / HTTP/1.1\r\n\r\n", REFUSED(400, "malformed method")},
        {"GET / HTTP/1.1 \r\n\r\n", REFUSED(400, "malformed HTTP version")},
        {"GET /\t HTTP/1.1\r\n\r\n", REFUSED(400, "malformed request target")},
        {"GET /\x7f HTTP/1.1\r\n\r\n", REFUSED(400, "malformed request target")},
        {"GET /\xc3 HTTP/1.1\r\n\r\n", REFUSED(400, "malformed request target")},
        {"GET /#f HTTP/1.1\r\n\r\n", REFUSED(400, "malformed request target")},
        {"GET / http/1.1\r\n\r\n", REFUSED(400, "malformed HTTP version")},
        {"GET / HTTP/11\r\n\r\n", REFUSED(400, "malformed HTTP version")},
        {"GET / HTTP/1.x\r\n\r\n", REFUSED(400, "malformed HTTP version")},
        {"GET / HTTP/2.0\r\n\r\n", REFUSED(505, "HTTP version not supported")},
        {"PRI * HTTP/2.0\r\n\r\n", REFUSED(505, "HTTP version not supported")},
        {"GET / HTTP/1.1\nHost: a\n\n", REFUSED(400, "line ends without CR")},
        {"GET / HTTP/1.1\r\r\n\r\n", REFUSED(400, "malformed HTTP version")},
        {"\n", REFUSED(400, "line ends without CR")},
        {"GET a HTTP/1.1\r\nHost: a\r\n\r\n", REFUSED(400, "malformed request target")},
        {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", REFUSED(400, "malformed request target")},
        {"GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", REFUSED(400, "malformed request target")},
        {"GET http:///x HTTP/1.1\r\nHost:\r\n\r\n", REFUSED(400, "malformed request target")},
        {"GET http://h?q HTTP/1.1\r\nHost: h\r\n\r\n", REFUSED(400, "malformed request target")},
        {"GET http://u@h/ HTTP/1.1\r\nHost: u@h\r\n\r\n", REFUSED(400, "malformed Host")},
        {"GET http://u@h/ HTTP/1.0\r\n\r\n", REFUSED(400, "malformed host in request target")},
        {"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n",
         REFUSED(400, "Host differs from the request target")},
        {"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", REFUSED(501, "CONNECT is not supported")},
    };
    CHECK_REQUESTS(cases);
}

static void refuses_malformed_headers(void **state)
{
    (void)state;
    static const parse_case cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", REFUSED(400, "missing Host")},
        {GET11("Host: a\r\n"), REFUSED(400, "repeated Host")},
        {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", REFUSED(400, "malformed Host")},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", REFUSED(400, "malformed Host")},
        {"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", REFUSED(400, "malformed Host")},
        {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", REFUSED(400, "malformed Host")},
        {"GET / HTTP/1.1\r\nHost: [/]\r\n\r\n", REFUSED(400, "malformed Host")},
        {"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", REFUSED(400, "malformed Host")},
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", REFUSED(400, "malformed header name")},
        {GET11(": x\r\n"), REFUSED(400, "malformed header name")},
        {GET11("a[b: x\r\n"), REFUSED(400, "malformed header name")},
        {GET11("a\xc3: x\r\n"), REFUSED(400, "malformed header name")},
        {GET11("ab\r\n"), REFUSED(400, "header field without a colon")},
        {GET11(" X: a\r\n"), REFUSED(400, "folded header field")},
        {GET11("X: a\r\n\tb\r\n"), REFUSED(400, "folded header field")},
        {GET11("X: a\rb\r\n"), REFUSED(400, "malformed header value")},
        {GET11("X: a\r\r\n"), REFUSED(400, "malformed header value")},
        {GET11("X: a\nY: b\r\n"), REFUSED(400, "line ends without CR")},
        {GET11("X: \x01\r\n"), REFUSED(400, "malformed header value")},
        {GET11("X: \x7f\r\n"), REFUSED(400, "malformed header value")},
    };
    CHECK_REQUESTS(cases);
    static const char nul[] = "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n";
    fake_env fake = {.now_ns = 0};
    weir_env const env = fake_env_hooks(&fake);
    weir__http_parser parser;
    weir__http_parser_init(&parser, &env, false, &small_limits);
    parse_all(&trace, &parser, nul, sizeof nul - 1, 5);
    assert_string_equal(trace.text, REFUSED(400, "malformed header value"));
    weir__http_parser_free(&parser);
}

static void refuses_ambiguous_framing(void **state)
{
    (void)state;
    static const parse_case cases[] = {
        {POST("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
         REFUSED(400, "malformed Content-Length")},
        {POST("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"),
         REFUSED(400, "malformed Content-Length")},
        {POST("Content-Length: 5, 5\r\n", "hello"), REFUSED(400, "malformed Content-Length")},
        {POST("Content-Length:\r\n", "hello"), REFUSED(400, "malformed Content-Length")},
        {POST("Content-Length: +5\r\n", "hello"), REFUSED(400, "malformed Content-Length")},
        {POST("Content-Length: -5\r\n", "hello"), REFUSED(400, "malformed Content-Length")},
        {POST("Content-Length: 0x5\r\n", "hello"), REFUSED(400, "malformed Content-Length")},
        {POST("Content-Length: 5 5\r\n", "hello"), REFUSED(400, "malformed Content-Length")},
        {POST("Content-Length: 9223372036854775808\r\n", ""),
         REFUSED(400, "Content-Length overflows")},
        {POST("Content-Length: 18446744073709551616\r\n", ""),
         REFUSED(400, "Content-Length overflows")},
        {POST("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
         REFUSED(400, "Content-Length beside Transfer-Encoding")},
        {POST("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
         REFUSED(400, "Content-Length beside Transfer-Encoding")},
        {POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
         REFUSED(400, "repeated Transfer-Encoding")},
        {POST("Transfer-Encoding: chunked, chunked\r\n", ""),
         REFUSED(400, "malformed Transfer-Encoding")},
        {POST("Transfer-Encoding:\r\n", ""), REFUSED(400, "malformed Transfer-Encoding")},
        {POST("Transfer-Encoding: gzip, chunked\r\n", ""), REFUSED(501, "unknown transfer coding")},
        {POST("Transfer-Encoding: identity\r\n", ""), REFUSED(501, "unknown transfer coding")},
        {POST("Transfer-Encoding: xchunked\r\n", ""), REFUSED(501, "unknown transfer coding")},
        {POST("Transfer-Encoding: \"chunked\"\r\n", ""), REFUSED(501, "unknown transfer coding")},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
         REFUSED(400, "Transfer-Encoding in HTTP/1.0")},
    };
    CHECK_REQUESTS(cases);
}

#define CHUNKED_HEAD  "POST /p|/p|a|1.1|size=?|keep|Host=a|Transfer-Encoding=chunked\n"
#define CHUNKED(body) POST("Transfer-Encoding: chunked\r\n", body)

static void reads_chunk_extensions_and_drops_them(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        CHUNKED("2;a\r\nhi\r\n0\r\n\r\n"),
        CHUNKED("2;a=b\r\nhi\r\n0;c=d\r\n\r\n"),
        CHUNKED("2 ; a = b ; c\r\nhi\r\n0\r\n\r\n"),
        CHUNKED("2;a=\"b;\\\"\xc3 \"\r\nhi\r\n0\r\n\r\n"),
        CHUNKED("2;a=b;c=\"\" ;d\r\nhi\r\n0\r\n\r\n"),
        CHUNKED("2;a ;b\r\nhi\r\n0\r\n\r\n"),
        CHUNKED("0000000000000002\r\nhi\r\n0000000000000000\r\n\r\n"),
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        parse_case const one = {bodies[i], CHUNKED_HEAD "body:hi\nend\n"};
        check(false, false, &small_limits, &one, 1);
    }
}

static void refuses_malformed_chunks(void **state)
{
    (void)state;
    static const struct {
        const char *in, *why;
    } cases[] = {
        {CHUNKED("\r\n"), "chunk without a size"},
        {CHUNKED(";a\r\n"), "chunk without a size"},
        {CHUNKED("-1\r\n"), "chunk without a size"},
        {CHUNKED("g\r\n"), "chunk without a size"},
        {CHUNKED("0x1\r\n"), "malformed chunk extension"},
        {CHUNKED("2 \r\nhi\r\n"), "malformed chunk extension"},
        {CHUNKED("2;\r\nhi\r\n"), "malformed chunk extension"},
        {CHUNKED("2;a=\r\nhi\r\n"), "malformed chunk extension"},
        {CHUNKED("2;a \r\nhi\r\n"), "malformed chunk extension"},
        {CHUNKED("2;a=\"\r\nhi\r\n"), "malformed chunk extension"},
        {CHUNKED("2;a=\"\\\r\"\r\nhi\r\n"), "malformed chunk extension"},
        {CHUNKED("2;a=\"b\"c\r\nhi\r\n"), "malformed chunk extension"},
        {CHUNKED("2;a\x01\r\nhi\r\n"), "malformed chunk extension"},
        {CHUNKED("2\nhi\r\n"), "malformed chunk extension"},
        {CHUNKED("2\r hi\r\n"), "malformed line end in chunked body"},
        {CHUNKED("00000000000000002\r\nhi\r\n"), "chunk size overflows"},
        {CHUNKED("0\r\n\rx"), "malformed line end in chunked body"},
        {CHUNKED("0\r\n x: a\r\n\r\n"), "malformed trailer field"},
        {CHUNKED("0\r\n: a\r\n\r\n"), "malformed trailer field"},
        {CHUNKED("0\r\nx a\r\n\r\n"), "malformed trailer field"},
        {CHUNKED("0\r\nx: a\n\r\n"), "malformed trailer field"},
        {CHUNKED("0\r\nx: a\rb\r\n\r\n"), "malformed line end in chunked body"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char told[200];
        (void)snprintf(told, sizeof told, CHUNKED_HEAD "failed 400 %s\n", cases[i].why);
        parse_case const one = {cases[i].in, told};
        check(false, false, &small_limits, &one, 1);
    }
    static const parse_case after_data[] = {
        {CHUNKED("2\r\nhiX"),
         CHUNKED_HEAD "body:hi\n" REFUSED(400, "malformed line end in chunked body")},
        {CHUNKED("2\r\nhi\rX"),
         CHUNKED_HEAD "body:hi\n" REFUSED(400, "malformed line end in chunked body")},
        {CHUNKED("2\r\nhi\r\n"), CHUNKED_HEAD "body:hi\n" REFUSED(400, "closed within the body")},
    };
    CHECK_REQUESTS(after_data);
}

static void keeps_to_its_limits(void **state)
{
    (void)state;
    static const weir__http_limits tiny = {.header_bytes = 48,
                                           .headers = 2,
                                           .target_bytes = 8,
                                           .body_bytes = 10};
    static const parse_case cases[] = {
        {"GET /1234567 HTTP/1.0\r\n\r\n", "GET /1234567|/1234567||1.0|size=0|close\nend\n"},
        {"GET /12345678 HTTP/1.0\r\n\r\n", REFUSED(414, "request target over the limit")},
        {"GET /123456789012345678901234567890123456789012345",
         REFUSED(414, "request line over the limit")},
        {"GET / HTTP/1.0\r\nA: 1234567890123456789012345\r\n\r\n", /* 16 + 30 + 2 bytes. */
         "GET /|/||1.0|size=0|close|A=1234567890123456789012345\nend\n"},
        {"GET / HTTP/1.0\r\nA: 12345678901234567890123456\r\n\r\n",
         REFUSED(431, "header over the limit")},
        {"GET / HTTP/1.0\r\nA:\r\nB:\r\n\r\n", "GET /|/||1.0|size=0|close|A=|B=\nend\n"},
        {"GET / HTTP/1.0\r\nA:\r\nB:\r\nC:\r\n\r\n", REFUSED(431, "too many header fields")},
        {"P / HTTP/1.0\r\nContent-Length: 10\r\n\r\n0123456789",
         "P /|/||1.0|size=10|close|Content-Length=10\nbody:0123456789\nend\n"},
        {"P / HTTP/1.0\r\nContent-Length: 11\r\n\r\n", REFUSED(413, "body over the limit")},
    };
    check(false, false, &tiny, cases, sizeof cases / sizeof *cases);
    static const weir__http_limits short_body = {.header_bytes = 80,
                                                 .headers = 2,
                                                 .target_bytes = 8,
                                                 .body_bytes = 4};
    static const parse_case chunked[] = {
        {CHUNKED("3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"), CHUNKED_HEAD "body:abcd\nend\n"},
        {CHUNKED("3\r\nabc\r\n2\r\nde\r\n"),
         CHUNKED_HEAD "body:abc\n" REFUSED(413, "body over the limit")},
        {CHUNKED("ffffffffffffffff\r\n"), CHUNKED_HEAD REFUSED(413, "body over the limit")},
        {CHUNKED("0\r\nA: 12345678901234567890123456789012345678901234567890123456789012345678901"
                 "23456789\r\n\r\n"),
         CHUNKED_HEAD REFUSED(431, "chunk extensions or trailers over the limit")},
    };
    check(false, false, &short_body, chunked, sizeof chunked / sizeof *chunked);
    static const parse_case until_close[] = {
        {"HTTP/1.0 200 OK\r\n\r\nabcd", "200 OK|1.0|size=?|close\nbody:abcd\nend\n"},
    };
    check(true, false, &short_body, until_close, 1);
    fake_env fake = {.now_ns = 0};
    weir_env const env = fake_env_hooks(&fake);
    weir__http_parser parser; /* Here, how much is told before the limit depends on the cuts. */
    weir__http_parser_init(&parser, &env, true, &short_body);
    parse_all(&trace, &parser, "HTTP/1.0 200 OK\r\n\r\nabcde", 24, 1);
    assert_string_equal(trace.text, "200 OK|1.0|size=?|close\nbody:abcd\n"
                                    "failed 413 body over the limit\n");
    weir__http_parser_free(&parser);
}

static void says_nothing_new_after_an_end_or_a_failure(void **state)
{
    (void)state;
    fake_env fake = {.now_ns = 0};
    weir_env const env = fake_env_hooks(&fake);
    weir__http_parser parser;
    weir__http_parser_init(&parser, &env, false, &small_limits);
    weir_http_slice in = weir_http_str("GET / HTTP/1.0\r\n\r\nx");
    assert_int_equal(weir__http_parser_next(&parser, &in), WEIR__HTTP_HEAD);
    assert_int_equal(weir__http_parser_next(&parser, &in), WEIR__HTTP_END);
    assert_int_equal(weir__http_parser_next(&parser, &in), WEIR__HTTP_MORE);
    assert_int_equal(in.size, 1); /* That is of the next message. */
    assert_int_equal(weir__http_parser_eof(&parser), WEIR__HTTP_MORE);
    weir__http_parser_reset(&parser);
    in = weir_http_str(" \r\n\r\n");
    assert_int_equal(weir__http_parser_next(&parser, &in), WEIR__HTTP_FAILED);
    assert_int_equal(weir__http_parser_next(&parser, &in), WEIR__HTTP_FAILED);
    assert_int_equal(weir__http_parser_eof(&parser), WEIR__HTTP_FAILED);
    weir__http_parser_free(&parser);
}

static void a_queue_of_bytes_moves_together_before_it_grows(void **state)
{
    (void)state;
    fake_env fake = {.now_ns = 0};
    weir_env const env = fake_env_hooks(&fake);
    weir__http_bytes bytes = {.data = NULL};
    assert_int_equal(weir__http_bytes_reserve(&bytes, &env, SIZE_MAX / 2), WEIR_ENOMEM);
    assert_int_equal(weir__http_bytes_reserve(&bytes, &env, 1000), WEIR_OK);
    size_t const capacity = bytes.capacity;
    for (int i = 0; i < 100; i++)
        weir__http_bytes_add(&bytes, "0123456789", 10);
    weir__http_bytes_take(&bytes, 995);
    assert_int_equal(weir__http_bytes_reserve(&bytes, &env, capacity - 5), WEIR_OK);
    assert_int_equal(bytes.capacity, capacity);
    assert_int_equal(bytes.size, 5);
    assert_memory_equal(weir__http_bytes_front(&bytes), "56789", 5);
    assert_int_equal(weir__http_bytes_reserve(&bytes, &env, capacity - 4), WEIR_OK);
    assert_true(bytes.capacity > capacity);
    assert_memory_equal(weir__http_bytes_front(&bytes), "56789", 5);
    weir__http_bytes_free(&bytes, &env);
    assert_int_equal(fake.live_bytes, 0);
}

static void writes_dates_as_the_rfc_does(void **state)
{
    (void)state;
    char date[WEIR__HTTP_DATE_SIZE]; /* The example of RFC 9110, 5.6.7; the epoch; a leap day. */
    weir__http_write_date(date, UINT64_C(784111777) * 1000000000);
    assert_string_equal(date, "Sun, 06 Nov 1994 08:49:37 GMT");
    weir__http_write_date(date, 999999999);
    assert_string_equal(date, "Thu, 01 Jan 1970 00:00:00 GMT");
    weir__http_write_date(date, UINT64_C(951782400) * 1000000000);
    assert_string_equal(date, "Tue, 29 Feb 2000 00:00:00 GMT");
}

static void heads_grow_while_their_parts_stay_in_place(void **state)
{
    (void)state;
    char in[4000], told[4000] = "GET /|/|a|1.1|size=0|keep|Host=a";
    size_t size = (size_t)snprintf(in, sizeof in, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 40; i++) {
        char field[64];
        (void)snprintf(field, sizeof field, "X-%02d: %040d", i, i);
        size += (size_t)snprintf(in + size, sizeof in - size, "%s\r\n", field);
        (void)snprintf(told + strlen(told), sizeof told - strlen(told), "|%.4s=%s", field,
                       field + 6);
    }
    (void)snprintf(in + size, sizeof in - size, "\r\n");
    (void)snprintf(told + strlen(told), sizeof told - strlen(told), "\nend\n");
    static const weir__http_limits roomy = {.header_bytes = 4000,
                                            .headers = 100,
                                            .target_bytes = 100,
                                            .body_bytes = 0};
    parse_case const one = {in, told};
    check(false, false, &roomy, &one, 1);
    fake_env fake = {.fail_at = 1};
    weir_env const env = fake_env_hooks(&fake);
    for (bool failed = true; failed; fake.fail_at++) {
        fake.calls = 0;
        weir__http_parser parser;
        weir__http_parser_init(&parser, &env, false, &roomy);
        parse_all(&trace, &parser, in, strlen(in), 100);
        failed = strstr(trace.text, "failed 503 out of memory\n") != NULL;
        assert_true(failed || strcmp(trace.text, told) == 0);
        weir__http_parser_free(&parser);
        assert_int_equal(fake.live_bytes, 0);
    }
    assert_int_equal(fake.fail_at, 7); /* Two sizes of text, three of the array, and none. */
}

static void reads_responses(void **state)
{
    (void)state;
    static const parse_case cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
         "200 OK|1.1|size=2|keep|Content-Length=2\nbody:hi\nend\n"},
        {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
         "200 |1.1|size=0|keep|Content-Length=0\nend\n"},
        {"HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n",
         "404 |1.1|size=0|keep|Content-Length=0\nend\n"},
        {"HTTP/1.1 200 OK\r\n\r\nhi", "200 OK|1.1|size=?|close\nbody:hi\nend\n"},
        {"HTTP/1.1 200 OK\r\n\r\n", "200 OK|1.1|size=?|close\nend\n"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
         "200 OK|1.1|size=?|keep|Transfer-Encoding=chunked\nbody:hi\nend\n"},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\nHTTP/1.1 304 Same\r\n"
         "Content-Length: 9\r\n\r\n",
         "100 Continue|1.1|size=?|keep\nend\n204 No|1.1|size=?|keep\nend\n"
         "304 Same|1.1|size=9|keep|Content-Length=9\nend\n"},
        {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
         "200 OK|1.0|size=0|keep|Connection=keep-alive|Content-Length=0\nend\n"},
        {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n",
         "200 OK|1.0|size=?|close|Connection=keep-alive\nend\n"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",
         "200 OK|1.1|size=3|keep|Content-Length=3\nbody:hi\nfailed 400 closed within the body\n"},
    };
    CHECK_RESPONSES(cases);
    static const parse_case to_head[] = {
        {"HTTP/1.1 103 E\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
         "103 E|1.1|size=?|keep\nend\n200 OK|1.1|size=9|keep|Content-Length=9\nend\n"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
         "200 OK|1.1|size=?|keep|Transfer-Encoding=chunked\nend\n"},
    };
    check(true, true, &small_limits, to_head, 2);
}

static void refuses_malformed_responses(void **state)
{
    (void)state;
    static const parse_case cases[] = {
        {"\r\nHTTP/1.1 200 OK\r\n", REFUSED(400, "malformed status line")},
        {"HTTP/1.1\r\n", REFUSED(400, "malformed status line")},
        {"ICY 200 OK\r\n", REFUSED(400, "malformed HTTP version")},
        {"HTTP/2.0 200 OK\r\n", REFUSED(505, "HTTP version not supported")},
        {"HTTP/1.1 20\r\n", REFUSED(400, "malformed status")},
        {"HTTP/1.1 099 x\r\n", REFUSED(400, "malformed status")},
        {"HTTP/1.1 2000 x\r\n", REFUSED(400, "malformed status")},
        {"HTTP/1.1 2x0 x\r\n", REFUSED(400, "malformed status")},
        {"HTTP/1.1 200 a\rb\r\n", REFUSED(400, "malformed reason phrase")},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
         REFUSED(400, "Content-Length beside Transfer-Encoding")},
        {"HTTP/1.1 204 OK\r\nContent-Length: 1, 2\r\n\r\n",
         REFUSED(400, "malformed Content-Length")},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
         REFUSED(400, "malformed Content-Length")},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
         REFUSED(501, "unknown transfer coding")},
        {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
         REFUSED(400, "Transfer-Encoding in HTTP/1.0")},
    };
    CHECK_RESPONSES(cases);
}

static void classes_of_bytes_are_those_of_the_grammar(void **state)
{
    (void)state;
    static const char alnum[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    for (int c = 0; c < 256; c++) {
        bool const letter = c != 0 && strchr(alnum, c) != NULL;
        unsigned char const byte = (unsigned char)c;
        assert_int_equal(weir__http_is(byte, WEIR__HTTP_TCHAR),
                         letter || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL));
        assert_int_equal(weir__http_is(byte, WEIR__HTTP_VALUE),
                         c == '\t' || (c >= ' ' && c <= '~') || c >= 0x80);
        assert_int_equal(weir__http_is(byte, WEIR__HTTP_TARGET),
                         c > ' ' && c <= '~' && strchr("#<>", c) == NULL);
        assert_int_equal(weir__http_is(byte, WEIR__HTTP_HOST),
                         letter || (c != 0 && strchr("-._~!$&'()*+,;=%", c) != NULL));
        assert_int_equal(weir__http_is(byte, WEIR__HTTP_BLANK), c == ' ' || c == '\t');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_requests),
        cmocka_unit_test(knows_which_requests_keep_the_connection),
        cmocka_unit_test(reads_request_bodies),
        cmocka_unit_test(refuses_malformed_request_lines),
        cmocka_unit_test(refuses_malformed_headers),
        cmocka_unit_test(refuses_ambiguous_framing),
        cmocka_unit_test(reads_chunk_extensions_and_drops_them),
        cmocka_unit_test(refuses_malformed_chunks),
        cmocka_unit_test(keeps_to_its_limits),
        cmocka_unit_test(says_nothing_new_after_an_end_or_a_failure),
        cmocka_unit_test(a_queue_of_bytes_moves_together_before_it_grows),
        cmocka_unit_test(writes_dates_as_the_rfc_does),
        cmocka_unit_test(heads_grow_while_their_parts_stay_in_place),
        cmocka_unit_test(reads_responses),
        cmocka_unit_test(refuses_malformed_responses),
        cmocka_unit_test(classes_of_bytes_are_those_of_the_grammar),
    };
    return cmocka_run_group_tests_name("http parser", tests, NULL, NULL);
}
