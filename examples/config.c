/* A limit for all, another in the test environment, and one more for a tenth of the clients. */
#include <weir/config.h>
#include <weir/store.h>

#include <stdio.h>

static bool tell(const weir_config_event *event, void *user)
{
    (void)user;
    printf("  revision %u: %s is %.*s\n", (unsigned)event->revision, event->value.name,
           (int)event->value.value.size, (const char *)event->value.value.data);
    return true;
}

static void ask(weir_config *config, const char *who, const weir_config_client *client)
{
    int64_t const limit = weir_config_get_i64(config, "orders/limit", client, 100, NULL);
    printf("%-8s %d\n", who, (int)limit);
}

int main(void)
{
    weir_store *store;
    weir_config *config;
    weir_config_watcher *watcher; /* It lives as long as the config. */
    weir_config_error error;
    weir_config_options options = WEIR_CONFIG_OPTIONS_INIT;
    weir_config_watch const watch = {.pattern = "orders/**", .fn = tell};
    weir_config_validator const sane = {.pattern = "*/limit",
                                        .check = WEIR_CONFIG_CHECK_REGEX,
                                        .regex = "^[0-9]+$"};
    weir_config_change const test = {.name = "orders/limit",
                                     .environment = "test",
                                     .value = weir_bytes_of("5")};
    weir_config_rule const tenth = {.name = "orders/limit",
                                    .rule = "more",
                                    .permille = 100,
                                    .value = weir_bytes_of("500")};
    weir_config_client const tester = {.environment = "test"}, lucky = {.id = "client-4"};
    if (weir_store_create(&store, NULL, NULL))
        return 1;
    weir_kv const kv = weir_store_kv(store);
    options.kv = &kv;
    if (weir_config_create(&config, &options) || weir_config_add_validator(config, &sane, NULL) ||
        weir_config_watch_start(&watcher, config, &watch))
        return 1;
    ask(config, "nobody", NULL);
    if (weir_config_set(config, "orders/limit", "many", NULL, NULL, &error))
        printf("refused: %s: %s\n", error.name, error.message);
    if (weir_config_set(config, "orders/limit", "250", NULL, NULL, NULL) ||
        weir_config_apply(config, &test, 1, NULL, NULL, NULL) ||
        weir_config_release(config, &tenth, NULL, NULL, NULL))
        return 1;
    ask(config, "anybody", NULL);
    ask(config, "tester", &tester);
    ask(config, "lucky", &lucky);
    weir_config_destroy(config);
    weir_store_destroy(store);
    return 0;
}
