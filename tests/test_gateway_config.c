/* The gateway's configuration: what it accepts, and where it says that a mistake is. */
#include "support/fake_env.h"

#include <weir/gateway.h>

#include <string.h>

#define GLOBALS "proxy 127.0.0.1:0\nadmin localhost:0\n"
#define SERVICE "service s\nroute /s\nmember m 127.0.0.1:80\n"

static weir_gateway_error error;

static const char *variables(const char *name, void *user)
{
    (void)user;
    if (strcmp(name, "HOST") == 0)
        return "127.0.0.1";
    return strcmp(name, "LINES") == 0 ? "a\nb" : NULL;
}

static int parse(const char *text)
{
    weir_gateway_config *config;
    int const result =
        weir_gateway_config_parse(&config, text, strlen(text), variables, NULL, NULL, &error);
    assert_int_equal(config != NULL, result == WEIR_OK);
    weir_gateway_config_destroy(config);
    return result;
}

static void accepts_every_directive_and_option(void **state)
{
    (void)state;
    assert_int_equal(
        parse("# comment with ${NOTHING}\n"
              "proxy [::1]:8080   # here\n"
              "admin ${HOST}:8081\r\n"
              "max_header 32k\nmax_body 2g\nidle_timeout 1m30s\nheader_timeout 500ms\n\n"
              "service one\n"
              "  route /one\n  balance least_request choices=3 bias=2 decay=5s failure_latency=2s"
              " table=251 ring=1024 bound=125%\n"
              "  member a ${HOST}:1 weight=3 priority=1 max_in_flight=10 zone=west\n"
              "  member b localhost:2\n"
              "  limit 100/m burst=7 dry_run\n"
              "  breaker failures=30% slow=10% slow_after=2s minimum=5 window=10s consecutive=4"
              " rest=1s rest_max=9s probes=2 lease=3s ramp=5s\n"
              "  retry attempts=4 base=5ms cap=1s jitter=equal\n"
              "  timeout 3s\n  attempt_timeout 1s\n  connect_timeout 100ms\n"
              "  health http /healthz?deep=1 method=HEAD host=shop.example expect=200-299,401"
              " warn=429 body=well interval=1s timeout=500ms rise=1 fall=2 fast=100ms down=5s"
              " jitter=10% start=down port=9 idle=9s skip=3\n"
              "  hash header X-User\n  sticky cookie weir\n  spill 120%\n  panic off\n"
              "  zone west\n  aperture 20\n  slow_start 30s from=20% aggression=2\n"
              "  recovery 3 hold=5s\n  reports on blackout=1s expiry=1m update=100ms penalty=2\n  "
              "outlier consecutive=3 gateway=3 local=4 deviation=2000"
              " deviation_hosts=3 deviation_calls=10 failures=50% failures_hosts=2"
              " failures_calls=20 slow=300% slow_floor=50ms slow_hosts=2 slow_calls=10"
              " interval=5s base=10s max=60s jitter=100ms share=50% dry_run\n"
              "service two\n  route /\n  member a 127.0.0.1:1\n"
              "  limit off\n  breaker off\n  retry off\n  balance random\n  health off\n"
              "  outlier off\n  reports off\n  spill off\n  panic 30%\n  hash path\n  sticky "
              "header X-M\n"
              "service three\n  route /three\n  member a 127.0.0.1:1\n"
              "  health tcp send=PING\\r\\n\\t\\s\\0\\\\\\x7F expect=+PONG start=up\n"
              "service four\n  route /four\n  member a 127.0.0.1:1\n  health tcp start=unknown\n"),
        WEIR_OK);
    assert_int_equal(parse(GLOBALS SERVICE), WEIR_OK);
    assert_int_equal(parse(GLOBALS), WEIR_OK); /* Services may come from elsewhere, */
    assert_int_equal(parse(GLOBALS "service s\nroute /s\n"), WEIR_OK); /* and members, too. */
    assert_int_equal(parse("token ${HOST}\ndata folder\nenvironment prod\nlabel eu\n" GLOBALS),
                     WEIR_OK);
    assert_int_equal(parse(GLOBALS "service s\nroute /s\nmember m 127.0.0.1:80"), WEIR_OK);
}

typedef struct mistake {
    const char *text;
    uint32_t line;
    const char *field;
    const char *says; /* A part of the message. */
} mistake;

static void assert_mistakes(const mistake *mistakes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(parse(mistakes[i].text), WEIR_EINVAL);
        assert_int_equal(error.line, mistakes[i].line);
        assert_string_equal(error.field, mistakes[i].field);
        if (strstr(error.message, mistakes[i].says) == NULL)
            fail_msg("%s: %s", mistakes[i].text, error.message);
    }
}

static void a_mistake_among_the_gateways_lines_is_named(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {"", 0, "proxy", "missing"},
        {"proxy 127.0.0.1:1\n", 0, "admin", "missing"},
        {"token a b\n", 1, "token", "one value, and got 2"},
        {"data\n", 1, "data", "one value, and got 0"},
        {"environment a:b\n", 1, "environment", "none of @ : $ { }"},
        {"label "
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
         1, "label", "1 to 63 bytes"},
        {"proxy nowhere\n", 1, "proxy", "\"nowhere\" is no address"},
        {"proxy 127.0.0.1:99999\n", 1, "proxy", "no address"},
        {"proxy\n", 1, "proxy", "one value, and got 0"},
        {"\n\nproxy a b\n", 3, "proxy", "one value, and got 2"},
        {"prox 127.0.0.1:1\n", 1, "prox", "no such directive"},
        {"max_header 100\n", 1, "max_header", "\"100\""},
        {"max_header 2m\n", 1, "max_header", "too large"},
        {"max_body x\n", 1, "max_body", "expected a digit at character 1"},
        {"idle_timeout 5\n", 1, "idle_timeout", "unit"},
        {"header_timeout 0s\n", 1, "header_timeout", "too small"},
        {GLOBALS "proxy ${NOBODY}:1\n", 3, "NOBODY", "not set"},
        {"proxy ${LINES}\n", 1, "LINES", "more than one word"},
        {"proxy ${HOST\n}", 1, "${", "expected ${NAME}"},
        {"proxy ${}\n", 1, "${", "expected ${NAME}"},
        {"a b c d e f g h i j k l m n o p q r s t u v w x y z 1 2 3 4 5 6 7\n", 1, "a",
         "more than 32 words"},
        {"proxy 127.0.0.1:1\nproxy 127.0.0.1:2\n", 2, "proxy", "given twice"},
        {GLOBALS SERVICE "max_body 1\n", 6, "max_body", "before the first service"},
    };
    assert_mistakes(mistakes, sizeof mistakes / sizeof mistakes[0]);
}

static void a_mistake_in_a_service_is_named(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {GLOBALS "service\n", 3, "service", "one value"},
        {GLOBALS SERVICE "service s\n", 6, "service", "defined in line 3 already"},
        {GLOBALS "service s\nmember m 127.0.0.1:1\n", 3, "service", "has no route"},
        {GLOBALS "service _\n", 3, "service", "is not _"},
        {GLOBALS "service a/b\n", 3, "service", "\"a/b\": has 1 to 255 bytes, none of /"},
        {GLOBALS SERVICE "members a 127.0.0.1:1\n", 6, "members", "no such directive"},
        {GLOBALS SERVICE "endpoint a b\n", 6, "endpoint", "one value, and got 2"},
        {GLOBALS SERVICE "balance maglev table=12\n", 6, "balance", "do not go together"},
        {GLOBALS SERVICE "limit 1/h burst=4000000000\n", 6, "limit", "do not go together"},
        {GLOBALS SERVICE "service t\nroute /s\nmember m 127.0.0.1:1\n", 6, "route",
         "the route of \"s\" already"},
        {GLOBALS "service s\nroute s\n", 4, "route", "begins with /"},
        {GLOBALS "service s\nroute /s?x\n", 4, "route", "begins with /"},
        {GLOBALS "service s\nroute /s/\n", 4, "route", "must not end with /"},
        {GLOBALS "service s\nroute\n", 4, "route", "one value"},
        {GLOBALS SERVICE "wobble\n", 6, "wobble", "no such directive"},
        {GLOBALS SERVICE "balance best\n", 6, "balance", "\"best\": no such algorithm"},
        {GLOBALS SERVICE "balance\n", 6, "balance", "no such algorithm"},
        {GLOBALS SERVICE "balance maglev table=x\n", 6, "balance.table", "expected a digit"},
        {GLOBALS SERVICE "balance random bound=99%\n", 6, "balance.bound", "too small"},
        {GLOBALS SERVICE "balance random bound=120\n", 6, "balance.bound", "expected %"},
        {GLOBALS SERVICE "balance random colour=red\n", 6, "balance.colour", "no such option"},
        {GLOBALS SERVICE "hash header a(b\n", 6, "hash", "the name of a header"},
        {GLOBALS SERVICE "hash header "
                         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
         6, "hash", "the name of a header"},
        {GLOBALS "service s\nroute /s\nmember \"m\" 127.0.0.1:1\nsticky cookie c\n", 3, "sticky",
         "cannot be"},
        {GLOBALS SERVICE "aperture\n", 6, "aperture", "one value"},
        {GLOBALS SERVICE "slow_start x\n", 6, "slow_start", "expected"},
        {GLOBALS SERVICE "recovery 5 colour=red\n", 6, "recovery.colour", "no such option"},
        {GLOBALS SERVICE "slow_start 1s colour=red\n", 6, "slow_start.colour", "no such option"},
        {GLOBALS SERVICE "hash\n", 6, "hash", "header NAME, cookie NAME, source or path"},
        {GLOBALS SERVICE "hash header\n", 6, "hash", "the name of a header"},
        {GLOBALS SERVICE "hash cookie a=b\n", 6, "hash", "the name of a cookie"},
        {GLOBALS SERVICE "hash source x\n", 6, "hash", "source or path"},
        {GLOBALS SERVICE "sticky source\n", 6, "sticky", "cookie NAME or header NAME"},
        {GLOBALS "service s\nroute /s\nmember m;1 127.0.0.1:1\nsticky cookie c\n", 3, "sticky",
         "\"m;1\" cannot be"},
        {GLOBALS SERVICE "spill 99%\n", 6, "spill", "too small"},
        {GLOBALS SERVICE "spill\n", 6, "spill", "one value"},
        {GLOBALS SERVICE "panic 101%\n", 6, "panic", "too large"},
        {GLOBALS SERVICE "zone a b\n", 6, "zone", "one value"},
        {GLOBALS SERVICE "aperture 0\n", 6, "aperture", "too small"},
        {GLOBALS SERVICE "slow_start\n", 6, "slow_start", "expected"},
        {GLOBALS SERVICE "slow_start 10s from=0%\n", 6, "slow_start.from", "1% to 100%"},
        {GLOBALS SERVICE "slow_start 10s aggression=11\n", 6, "slow_start.aggression", "too large"},
        {GLOBALS SERVICE "recovery\n", 6, "recovery", "expected"},
        {GLOBALS SERVICE "recovery 5 hold=x\n", 6, "recovery.hold", "expected"},
        {GLOBALS SERVICE "reports\n", 6, "reports", "expected on or off"},
        {GLOBALS SERVICE "reports on ink=1\n", 6, "reports.ink", "no such option"},
        {GLOBALS SERVICE "outlier slow=100%\n", 6, "outlier.slow", "too small"},
        {GLOBALS SERVICE "outlier base=10s max=9s\n", 6, "outlier.max", "shorter than base"},
        {GLOBALS SERVICE "outlier dry_run=1\n", 6, "outlier.dry_run", "takes no value"},
        {GLOBALS SERVICE "outlier wrath=1\n", 6, "outlier.wrath", "no such option"},
        {GLOBALS SERVICE "member\n", 6, "member", "an id and an address"},
        {GLOBALS SERVICE "member m 127.0.0.1:1\n", 6, "member", "\"m\" is there already"},
        {GLOBALS SERVICE "member n example.org:80\n", 6, "member", "no address"},
        {GLOBALS SERVICE "member n 127.0.0.1:1 weight=x\n", 6, "member.weight",
         "\"x\": expected a digit at character 1"},
        {GLOBALS SERVICE "member n 127.0.0.1:1 weight=65536\n", 6, "member.weight", "too large"},
        {GLOBALS SERVICE "member n 127.0.0.1:1 speed=9\n", 6, "member.speed", "no such option"},
        {GLOBALS SERVICE "route /t\n", 6, "route", "given twice"},
        {GLOBALS SERVICE "timeout 1s\ntimeout 2s\n", 7, "timeout", "given twice"},
        {GLOBALS SERVICE "member n 127.0.0.1:0\n", 6, "member", "no port that can be called"},
        {GLOBALS SERVICE "member n 127.0.0.1:1 weight=1 weight=2\n", 6, "member.weight",
         "given twice"},
        {GLOBALS SERVICE "limit 5/s dry_run=off\n", 6, "limit.dry_run", "takes no value"},
        {GLOBALS SERVICE "limit 5/s dry_run=\n", 6, "limit.dry_run", "takes no value"},
        {GLOBALS SERVICE "limit\n", 6, "limit", "expected COUNT/s"},
        {GLOBALS SERVICE "limit 5/y\n", 6, "limit", "expected COUNT/s"},
        {GLOBALS SERVICE "limit x/s\n", 6, "limit", "expected a digit at character 1"},
        {GLOBALS SERVICE "limit 5/s burst=0\n", 6, "limit.burst", "too small"},
        {GLOBALS SERVICE "limit 5/s bursts=1\n", 6, "limit.bursts", "no such option"},
        {GLOBALS SERVICE "breaker failures=0%\n", 6, "breaker.failures", "whole percentage"},
        {GLOBALS SERVICE "breaker failures=1.5%\n", 6, "breaker.failures", "whole percentage"},
        {GLOBALS SERVICE "breaker slow=x%\n", 6, "breaker.slow", "expected a digit"},
        {GLOBALS SERVICE "breaker window=5ms\n", 6, "breaker.window", "10ms at least"},
        {GLOBALS SERVICE "breaker window=10\n", 6, "breaker.minimum", "do not fit a window of 10"},
        {GLOBALS SERVICE "breaker rest=2m\n", 6, "breaker.rest_max", "shorter than rest"},
        {GLOBALS SERVICE "breaker rest=1ns\n", 6, "breaker.rest", "too small"},
        {GLOBALS SERVICE "breaker fuse=1\n", 6, "breaker.fuse", "no such option"},
        {GLOBALS SERVICE "retry attempts=0\n", 6, "retry.attempts", "too small"},
        {GLOBALS SERVICE "retry base=20s\n", 6, "retry.cap", "shorter than base"},
        {GLOBALS SERVICE "retry jitter=some\n", 6, "retry.jitter", "expected full"},
        {GLOBALS SERVICE "retry tries=1\n", 6, "retry.tries", "no such option"},
        {GLOBALS SERVICE "timeout never\n", 6, "timeout", "expected a digit"},
        {GLOBALS SERVICE "attempt_timeout 1s 2s\n", 6, "attempt_timeout", "got 2"},
        {GLOBALS SERVICE "connect_timeout 25h\n", 6, "connect_timeout", "too large"},
    };
    assert_mistakes(mistakes, sizeof mistakes / sizeof mistakes[0]);
}

static void a_nul_byte_is_refused(void **state)
{
    (void)state;
    static const char text[] = "proxy\0 127.0.0.1:1\n";
    weir_gateway_config *config;
    assert_int_equal(weir_gateway_config_parse(&config, text, sizeof text - 1, NULL, NULL, NULL,
                                               &error),
                     WEIR_EINVAL);
    assert_string_equal(error.field, "text");
    weir_env const bad = {.struct_size = 1};
    assert_int_equal(weir_gateway_config_parse(&config, "", 0, NULL, NULL, &bad, &error),
                     WEIR_EINVAL);
    assert_string_equal(error.field, "env");
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    static const char text[] = GLOBALS SERVICE "member n ${HOST}:80\n";
    fake_env fake = {.fail_at = 1};
    weir_env const env = fake_env_hooks(&fake);
    weir_gateway_config *config;
    for (; weir_gateway_config_parse(&config, text, sizeof text - 1, variables, NULL, &env,
                                     &error) == WEIR_ENOMEM;
         fake.fail_at++, fake.calls = 0) {
        assert_null(config);
        assert_int_equal(fake.live_bytes, 0);
    }
    assert_true(fake.fail_at > 3);
    weir_gateway_config_destroy(config);
    weir_gateway_config_destroy(NULL);
    assert_int_equal(fake.live_bytes, 0);
}

static void a_mistake_in_a_health_check_is_named(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {GLOBALS SERVICE "health\n", 6, "health", "http and a path, tcp, or off"},
        {GLOBALS SERVICE "health http\n", 6, "health", "http and a path"},
        {GLOBALS SERVICE "health http healthz\n", 6, "health", "http and a path"},
        {GLOBALS SERVICE "health udp\n", 6, "health", "http and a path"},
        {GLOBALS SERVICE "health off\nhealth off\n", 7, "health", "given twice"},
        {GLOBALS SERVICE "health tcp body=x\n", 6, "health.body", "no such option"},
        {GLOBALS SERVICE "health http / send=x\n", 6, "health.send", "no such option"},
        {GLOBALS SERVICE "health http / body=\n", 6, "health.body", "1 to 255 bytes"},
        {GLOBALS SERVICE "health http / method=\n", 6, "health.method", "1 to 255 bytes"},
        {GLOBALS SERVICE "health http / expect=99\n", 6, "health.expect", "too small"},
        {GLOBALS SERVICE "health http / warn=200-x\n", 6, "health.warn", "character 5"},
        {GLOBALS SERVICE "health tcp interval=2\n", 6, "health.interval", "unit"},
        {GLOBALS SERVICE "health tcp timeout=0s\n", 6, "health.timeout", "too small"},
        {GLOBALS SERVICE "health tcp timeout=3s\n", 6, "health.timeout",
         "longer than the interval"},
        {GLOBALS SERVICE "health tcp rise=0\n", 6, "health.rise", "too small"},
        {GLOBALS SERVICE "health tcp fall=10001\n", 6, "health.fall", "too large"},
        {GLOBALS SERVICE "health tcp port=0\n", 6, "health.port", "too small"},
        {GLOBALS SERVICE "health tcp jitter=51%\n", 6, "health.jitter", "50%"},
        {GLOBALS SERVICE "health tcp start=well\n", 6, "health.start", "up, down or unknown"},
        {GLOBALS SERVICE "health tcp send=\n", 6, "health.send", "1 to 255 bytes"},
        {GLOBALS SERVICE "health tcp send=a\\\n", 6, "health.send", "1 to 255 bytes"},
        {GLOBALS SERVICE "health tcp send=\\q\n", 6, "health.send", "1 to 255 bytes"},
        {GLOBALS SERVICE "health tcp expect=\\x4\n", 6, "health.expect", "1 to 255 bytes"},
        {GLOBALS SERVICE "health tcp expect=\\xg0\n", 6, "health.expect", "1 to 255 bytes"},
    };
    assert_mistakes(mistakes, sizeof mistakes / sizeof mistakes[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_every_directive_and_option),
        cmocka_unit_test(a_mistake_among_the_gateways_lines_is_named),
        cmocka_unit_test(a_mistake_in_a_service_is_named),
        cmocka_unit_test(a_mistake_in_a_health_check_is_named),
        cmocka_unit_test(a_nul_byte_is_refused),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests_name("gateway_config", tests, NULL, NULL);
}
