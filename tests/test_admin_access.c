#include <weir/admin.h>

#include "support/admin_fixture.h"

/* ---- Who may ---- */

static void without_a_token_this_machine_may_read_and_not_write(void **state)
{
    (void)state;
    a.guarded = true;
    assert_int_equal(get("/config"), 200);
    assert_int_equal(ask("HEAD", "/config", NULL), 200);
    assert_int_equal(put("/config/a", "x"), 403);
    assert_body("method: only GET and HEAD, without a token\n");
    assert_header("Content-Type: text/plain");
    assert_int_equal(ask("get", "/config", NULL), 403); /* Methods are case-sensitive. */
    assert_int_equal(ask("POST", "/elsewhere", NULL), 403);
    assert_int_equal(get("/elsewhere"), 200);
    assert_body("the host's");
    assert_int_equal(get("/config/a"), 404); /* Nothing was written. */
}

static void with_a_token_it_is_needed_for_everything(void **state)
{
    (void)state;
    static const char *const wrong[] = {"Authorization: Bearer s3cre\r\n",
                                        "Authorization: Bearer s3crets\r\n",
                                        "Authorization: Bearer s3creT\r\n",
                                        "Authorization: Bearer x3cret\r\n"};
    static const char *const none[] = {"", "Authorization: s3cret\r\n", "Authorization: Bearer\r\n",
                                       "Authorization: Basic s3cret\r\n",
                                       "Authorization: Bearer s3cret\r\n"
                                       "Authorization: Bearer s3cret\r\n"};
    a.guarded = true;
    assert_int_equal(weir_admin_set_token(a.admin, "s3cret"), WEIR_OK);
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_int_equal(ask_with("GET", "/config", none[i], NULL), 401);
        assert_header("WWW-Authenticate: Bearer");
        assert_body("authorization: a bearer token is needed\n");
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(ask_with("GET", "/config", wrong[i], NULL), 401);
        assert_header("WWW-Authenticate: Bearer error=\"invalid_token\"");
        assert_body("authorization: not the token\n");
    }
    assert_int_equal(ask_with("GET", "/elsewhere", wrong[0], NULL), 401);
    assert_int_equal(ask_with("PUT", "/config/a", "Authorization: Bearer s3cret\r\n", "x"), 201);
    assert_int_equal(ask_with("GET", "/config/a", "authorization: bearer   s3cret \r\n", NULL),
                     200);
}

static void a_token_is_changed_and_taken_away_while_it_serves(void **state)
{
    (void)state;
    char longest[WEIR_ADMIN_MAX_TOKEN + 2];
    char header[sizeof longest + 32];
    memset(longest, 't', sizeof longest);
    a.guarded = true;
    longest[WEIR_ADMIN_MAX_TOKEN] = '\0';
    assert_int_equal(weir_admin_set_token(a.admin, longest), WEIR_OK);
    (void)snprintf(header, sizeof header, "Authorization: Bearer %s\r\n", longest);
    assert_int_equal(ask_with("GET", "/config", header, NULL), 200);
    (void)snprintf(header, sizeof header, "Authorization: Bearer %st\r\n", longest);
    assert_int_equal(ask_with("GET", "/config", header, NULL), 401);
    longest[WEIR_ADMIN_MAX_TOKEN] = 't';
    longest[WEIR_ADMIN_MAX_TOKEN + 1] = '\0';
    assert_int_equal(weir_admin_set_token(a.admin, longest), WEIR_EINVAL);
    assert_int_equal(weir_admin_set_token(a.admin, "a b"), WEIR_EINVAL);
    assert_int_equal(weir_admin_set_token(a.admin, "a\n"), WEIR_EINVAL);
    assert_int_equal(weir_admin_set_token(a.admin, "\xc3\xa4"), WEIR_EINVAL);
    assert_int_equal(get("/config"), 401); /* Nothing of that changed it. */
    assert_int_equal(weir_admin_set_token(a.admin, "new"), WEIR_OK);
    assert_int_equal(ask_with("GET", "/config", "Authorization: Bearer new\r\n", NULL), 200);
    assert_int_equal(weir_admin_set_token(a.admin, NULL), WEIR_OK);
    assert_int_equal(get("/config"), 200);
    assert_int_equal(put("/config/a", "x"), 403);
}

/* ---- What is there ---- */

static void a_method_that_a_page_has_not_is_told_those_it_has(void **state)
{
    (void)state;
    static const struct {
        const char *method, *target, *allow;
    } cases[] = {
        {"PUT", "/config", "Allow: GET, HEAD, POST"},
        {"PATCH", "/config/a", "Allow: GET, HEAD, PUT, DELETE, POST"},
        {"put", "/config/a", "Allow: GET, HEAD, PUT, DELETE, POST"},
        {"POST", "/services", "Allow: GET, HEAD"},
        {"DELETE", "/services/a", "Allow: GET, HEAD"},
        {"POST", "/services/a/b", "Allow: GET, HEAD, PUT, DELETE"},
        {"GET", "/services/a/b/heartbeat", "Allow: POST"},
        {"GET", "/services/a/b/status", "Allow: PUT"},
        {"POST", "/services/a/b/override", "Allow: PUT"},
        {"PUT", "/services/a/b/drain?off", "Allow: POST"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(ask(cases[i].method, cases[i].target, NULL), 405);
        assert_body("method: not one of this page's\n");
        assert_non_null(strstr(f.got, cases[i].allow));
    }
}

static void other_paths_are_the_hosts(void **state)
{
    (void)state;
    static const char *const others[] = {"/",        "/configs",     "/conf",
                                         "/service", "/servicesx/a", "/x/config",
                                         "/%63onfig"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(get(others[i]), 200);
        assert_body("the host's");
    }
    assert_int_equal(ask("OPTIONS", "*", NULL), 200);
    assert_body("the host's");
    assert_int_equal(get("/services/a/b/other"), 404);
    assert_body("path: there is no such page\n");
    assert_int_equal(get("/services/a/b/status/more"), 404);
    assert_int_equal(get("/services/a/b/"), 404);
}

static void what_it_was_not_given_is_the_hosts(void **state)
{
    (void)state;
    weir_admin_destroy(a.admin);
    a.options.config = NULL;
    create_admin();
    assert_int_equal(get("/config"), 200);
    assert_body("the host's");
    assert_int_equal(get("/services?watch=0"), 200);
    assert_body("{\"synced\":true,\"services\":[]}\n");
    weir_admin_destroy(a.admin);
    a.options.registry = NULL;
    create_admin();
    assert_int_equal(get("/services"), 200);
    assert_body("the host's");
}

static void a_query_that_is_not_understood_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *method, *target, *told;
    } cases[] = {
        {"GET", "/config?patern=a", "patern: not a parameter\n"},
        {"GET", "/config?pattern=a&pattern=b", "pattern: given twice\n"},
        {"GET", "/config?pattern=%", "pattern: malformed percent-escape\n"},
        {"GET", "/config?%zz=1", "query: malformed percent-escape\n"},
        {"GET", "/config?watch=maybe", "watch: neither true nor false\n"},
        {"GET", "/config?watch&revision=x", "revision: expected a digit\n"},
        {"GET", "/config?revision=1", "revision: not a parameter here\n"},
        {"GET", "/config/a?source=b", "source: not a parameter here\n"},
        {"GET", "/config/a?history&id=b", "id: not a parameter here\n"},
        {"DELETE", "/config/a?version=1", "version: not a parameter here\n"},
        {"POST", "/config/a?rollback=1&promote=r", "promote: not a parameter here\n"},
        {"GET", "/services?watch&service=a/b", "service: not a name\n"},
        {"GET", "/services/", "service: not a name\n"},
        {"GET", "/services/a%2Fb", "service: not a name\n"},
        {"GET", "/services/%ff", "service: not a name\n"},
        {"GET", "/services/a/", "id: not a name\n"},
        {"GET", "/services/a/b%7F", "id: not a name\n"},
        {"GET", "/services/a/b?zone=z", "zone: not a parameter here\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(ask(cases[i].method, cases[i].target, NULL), 400);
        assert_body(cases[i].told);
    }
    assert_int_equal(get("/config?&pattern=%2A&"), 200); /* Empty ones are none. */
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    weir_admin *admin;
    weir_admin_options options = WEIR_ADMIN_OPTIONS_INIT;
    assert_int_equal(weir_admin_create(&admin, NULL), WEIR_OK);
    weir_admin_destroy(admin);
    weir_admin_destroy(NULL);
    options.max_body_bytes = 0;
    assert_int_equal(weir_admin_create(&admin, &options), WEIR_EINVAL);
    assert_null(admin);
    options.max_body_bytes = (UINT64_C(1) << 30) + 1;
    assert_int_equal(weir_admin_create(&admin, &options), WEIR_EINVAL);
    options = (weir_admin_options)WEIR_ADMIN_OPTIONS_INIT;
    options.alive_ms = 0;
    assert_int_equal(weir_admin_create(&admin, &options), WEIR_EINVAL);
    options.alive_ms = 86400001;
    assert_int_equal(weir_admin_create(&admin, &options), WEIR_EINVAL);
    options = (weir_admin_options)WEIR_ADMIN_OPTIONS_INIT;
    options.token = "a b";
    assert_int_equal(weir_admin_create(&admin, &options), WEIR_EINVAL);
    options.struct_size = 0;
    assert_int_equal(weir_admin_create(&admin, &options), WEIR_EINVAL);
    weir_env env = WEIR_ENV_INIT;
    env.struct_size = 1;
    options = (weir_admin_options)WEIR_ADMIN_OPTIONS_INIT;
    options.env = &env;
    assert_int_equal(weir_admin_create(&admin, &options), WEIR_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_token_this_machine_may_read_and_not_write),
        TEST(with_a_token_it_is_needed_for_everything),
        TEST(a_token_is_changed_and_taken_away_while_it_serves),
        TEST(a_method_that_a_page_has_not_is_told_those_it_has),
        TEST(other_paths_are_the_hosts),
        TEST(what_it_was_not_given_is_the_hosts),
        TEST(a_query_that_is_not_understood_is_refused),
        TEST(options_out_of_range_are_refused),
    };
    return cmocka_run_group_tests_name("admin_access", tests, NULL, NULL);
}
