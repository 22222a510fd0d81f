/* Values that others put into the space, written anew by us, and ranges of versions. */
#include "support/fuzz.h"

#include <weir/registry.h>
#include <weir/store.h>

#include <string.h>

typedef struct seen {
    bool there;
    weir_instance_status effective;
    size_t endpoints, metadata, host_size;
    uint64_t numbers;
} seen;

static seen look(weir_registry *registry)
{
    seen found = {.there = false};
    weir_registry_view view;
    weir_registry_begin(registry, "s", &view);
    FUZZ_CHECK(view.synced && view.count <= 1 && view.available_count <= view.count);
    if (view.count == 1) {
        const weir_instance *const o = view.instances[0];
        found.there = true;
        found.effective = weir_instance_effective(o);
        found.endpoints = o->endpoint_count;
        found.metadata = o->metadata_count;
        found.host_size = strlen(o->host) + strlen(o->version) + strlen(o->zone);
        found.numbers = o->port + o->weight + o->stamp + o->renew_ms + o->expire_ms;
    }
    weir_registry_end(&view);
    return found;
}

static void check_value(weir_store *store, weir_registry *registry, weir_bytes value)
{
    weir_bytes const key = weir_bytes_of("registry/s/i");
    FUZZ_CHECK(weir_store_put(store, key, value, 0, NULL) == WEIR_OK);
    seen const before = look(registry);
    int const code = weir_registry_set_override(registry, "s", "i", WEIR_INSTANCE_UP, NULL, NULL);
    FUZZ_CHECK(code == WEIR_OK || (before.there && code == WEIR_ETOOLARGE));
    seen const after = look(registry);
    FUZZ_CHECK(before.there == after.there && before.endpoints == after.endpoints &&
               before.metadata == after.metadata && before.host_size == after.host_size &&
               before.numbers == after.numbers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[256];
    bool match = false;
    size_t const length = size < sizeof text ? size : sizeof text - 1;
    if (length > 0)
        memcpy(text, data, length);
    text[length] = '\0';
    int const code = weir_version_match(text, "1.2.3-rc.1+b", &match);
    FUZZ_CHECK(code == WEIR_OK || (code == WEIR_EINVAL && !match));
    FUZZ_CHECK(weir_version_match("^1.2 || <0.5 || ~3.1", text, &match) == WEIR_OK);
    weir_store *store;
    weir_registry *registry;
    if (weir_store_create(&store, NULL, NULL) != WEIR_OK)
        return 0;
    weir_kv const kv = weir_store_kv(store);
    weir_registry_options options = WEIR_REGISTRY_OPTIONS_INIT;
    options.kv = &kv;
    FUZZ_CHECK(weir_registry_create(&registry, &options) == WEIR_OK);
    check_value(store, registry, (weir_bytes){data, size});
    weir_registry_destroy(registry);
    weir_store_destroy(store);
    return 0;
}
