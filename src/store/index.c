#include "store/index.h"

#include <string.h>

void weir__index_init(weir__index *index, const weir_env *env)
{
    *index = (weir__index){.env = env};
}

/* ---- Keys ---- */

int weir__bytes_compare(weir_bytes a, weir_bytes b)
{
    size_t const size = a.size < b.size ? a.size : b.size;
    int const order = size == 0 ? 0 : memcmp(a.data, b.data, size);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* Its 8 bytes from `from` on, most significant first; beyond its end, 0. */
static uint64_t index_head(weir_bytes key, size_t from)
{
    const unsigned char *const bytes = key.data;
    uint64_t head = 0;
    for (size_t i = from; i < from + 8; i++)
        head = head << 8 | (i < key.size ? bytes[i] : 0);
    return head;
}

static size_t index_common(weir_bytes a, weir_bytes b)
{
    const unsigned char *const x = a.data, *const y = b.data;
    size_t const size = a.size < b.size ? a.size : b.size;
    size_t common = 0;
    while (common < size && x[common] == y[common])
        common++;
    return common;
}

/* ---- Searching ---- */

static uint32_t index_first(const weir__index_node *node) /* Key that is looked at. */
{
    return node->level > 0 ? 1 : 0;
}

/* Where `key` begins to differ from all keys of the node decides for all of them at once. */
static bool index_outside(const weir__index_node *node, weir_bytes key, uint32_t *at)
{
    weir_bytes const first = weir__kv_key_bytes(node->keys[index_first(node)]);
    weir_bytes const prefix = {first.data, node->prefix};
    if (key.size >= prefix.size &&
        (prefix.size == 0 || memcmp(key.data, prefix.data, prefix.size) == 0))
        return false;
    *at = weir__bytes_compare(key, prefix) < 0 ? index_first(node) : node->count;
    return true;
}

/* How many heads, from `low` on, are below `head`, and `low`; no branch is to be foretold. */
static uint32_t index_heads_below(const weir__index_node *node, uint32_t low, uint64_t head)
{
    uint32_t left = node->count - low;
    while (left > 0) {
        uint32_t const half = (left + 1) / 2;
        low += node->heads[low + half - 1] < head ? half : 0;
        left -= half;
    }
    return low;
}

/* As index_place(), of a key that begins as all do. Of another, *equal is false. */
static uint32_t index_search(const weir__index_node *node, weir_bytes key, bool *equal)
{
    uint64_t const head = index_head(key, node->prefix);
    uint32_t low = index_heads_below(node, index_first(node), head), high = low;
    while (high < node->count && node->heads[high] == head)
        high++;
    *equal = false;
    while (low < high) {
        uint32_t const middle = low + (high - low) / 2;
        int const order = weir__bytes_compare(weir__kv_key_bytes(node->keys[middle]), key);
        if (order == 0) {
            *equal = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first place whose key is not below `key`; *equal: it is that key. */
static uint32_t index_place(const weir__index_node *node, weir_bytes key, bool *equal)
{
    uint32_t outside;
    *equal = false;
    if (index_first(node) == node->count)
        return node->count;
    return index_outside(node, key, &outside) ? outside : index_search(node, key, equal);
}

static uint32_t index_child(const weir__index_node *node, weir_bytes key)
{
    bool equal;
    uint32_t const place = index_place(node, key, &equal);
    return equal ? place : place - 1;
}

/* Of many nodes, most are in no cache: what a search looks at is fetched at once. */
static void index_fetch(const weir__index_node *node, bool leaf)
{
    size_t const size = leaf ? sizeof *node : offsetof(weir__index_node, keys);
    for (size_t at = 0; at < size; at += WEIR__CACHE_LINE)
        WEIR__PREFETCH_READ((const char *)node + at);
}

static const weir__index_node *index_leaf(const weir__index *index, weir_bytes key)
{
    const weir__index_node *node = atomic_load_explicit(&index->root, memory_order_acquire);
    while (node != NULL && node->level > 0) {
        bool const leaf = node->level == 1;
        node = atomic_load_explicit(&node->children[index_child(node, key)], memory_order_acquire);
        index_fetch(node, leaf);
    }
    return node;
}

weir__kv_key *weir__index_find(const weir__index *index, weir_bytes key)
{
    const weir__index_node *const leaf = index_leaf(index, key);
    bool equal = false;
    /* One that begins differently need not be told from the others first: it is not in. */
    uint32_t const place = leaf == NULL ? 0 : index_search(leaf, key, &equal);
    return equal ? leaf->keys[place] : NULL;
}

/* The first leaf that begins beyond `key`: the one after that of `key`; NULL: there is none. */
static const weir__index_node *index_leaf_after(const weir__index *index, weir_bytes key)
{
    const weir__index_node *node = atomic_load_explicit(&index->root, memory_order_acquire);
    const weir__index_node *after = NULL;
    while (node != NULL && node->level > 0) {
        uint32_t const child = index_child(node, key);
        if (child + 1 < node->count)
            after = atomic_load_explicit(&node->children[child + 1], memory_order_acquire);
        node = atomic_load_explicit(&node->children[child], memory_order_acquire);
    }
    while (after != NULL && after->level > 0)
        after = atomic_load_explicit(&after->children[0], memory_order_acquire);
    return after;
}

static weir__kv_key *index_enter_leaf_after(weir__index_cursor *cursor, weir_bytes key)
{
    cursor->leaf = index_leaf_after(cursor->index, key);
    cursor->at = 0;
    return cursor->leaf == NULL ? NULL : cursor->leaf->keys[0];
}

weir__kv_key *weir__index_seek(const weir__index *index, weir_bytes from,
                               weir__index_cursor *cursor)
{
    bool equal;
    *cursor = (weir__index_cursor){.index = index, .leaf = index_leaf(index, from)};
    if (cursor->leaf == NULL)
        return NULL;
    cursor->at = index_place(cursor->leaf, from, &equal);
    return cursor->at < cursor->leaf->count ? cursor->leaf->keys[cursor->at]
                                            : index_enter_leaf_after(cursor, from);
}

/* A leaf may have been replaced or split since: what follows its last key is looked up anew. */
weir__kv_key *weir__index_next(weir__index_cursor *cursor)
{
    if (++cursor->at < cursor->leaf->count)
        return cursor->leaf->keys[cursor->at];
    weir__kv_key *const last = cursor->leaf->keys[cursor->leaf->count - 1];
    weir_bytes const bytes = weir__kv_key_bytes(last);
    weir__kv_key *const key = weir__index_seek(cursor->index, bytes, cursor);
    if (key != last || key == NULL)
        return key;
    return ++cursor->at < cursor->leaf->count ? cursor->leaf->keys[cursor->at]
                                              : index_enter_leaf_after(cursor, bytes);
}

/* ---- Nodes ---- */

static size_t index_node_size(uint32_t level)
{
    return sizeof(weir__index_node) +
           (level > 0 ? WEIR__INDEX_FANOUT * sizeof(_Atomic(weir__index_node *)) : 0);
}

static void index_count(weir__index *index, size_t plus, size_t minus)
{
    atomic_store_explicit(&index->bytes,
                          atomic_load_explicit(&index->bytes, memory_order_relaxed) + plus - minus,
                          memory_order_relaxed);
}

static weir__index_node *index_node(weir__index *index, uint32_t level)
{
    weir__index_node *const node = weir__alloc(index->env, index_node_size(level));
    if (node == NULL)
        return NULL;
    node->level = level;
    index_count(index, index_node_size(level), 0);
    return node;
}

void weir__index_free_node(weir__index *index, weir__index_node *node)
{
    index_count(index, 0, index_node_size(node->level));
    weir__free(index->env, node, index_node_size(node->level));
}

static void index_retire(weir__index *index, weir__index_node *node)
{
    node->next = index->retired;
    index->retired = node;
    index->retirements++;
}

/* Keys are sorted: what the first and the last begin with alike, all do. */
static void index_set_heads(weir__index_node *node)
{
    uint32_t const first = index_first(node);
    if (first >= node->count)
        return;
    node->prefix = index_common(weir__kv_key_bytes(node->keys[first]),
                                weir__kv_key_bytes(node->keys[node->count - 1]));
    for (uint32_t i = first; i < node->count; i++)
        node->heads[i] = index_head(weir__kv_key_bytes(node->keys[i]), node->prefix);
}

/* `count` entries of `from`, beginning at `at`, behind those that `node` has. */
static void index_copy(weir__index_node *node, const weir__index_node *from, uint32_t at,
                       uint32_t count)
{
    memcpy(node->heads + node->count, from->heads + at, count * sizeof node->heads[0]);
    memcpy(node->keys + node->count, from->keys + at, count * sizeof(weir__kv_key *));
    for (uint32_t i = 0; node->level > 0 && i < count; i++)
        atomic_init(&node->children[node->count + i],
                    atomic_load_explicit(&from->children[at + i], memory_order_relaxed));
    node->count += count;
}

static void index_append(weir__index_node *node, weir__kv_key *key, weir__index_node *child)
{
    node->keys[node->count] = key;
    if (node->level > 0)
        atomic_init(&node->children[node->count], child);
    node->count++;
}

/* Heads of a copy hold as long as the prefix does; only the new entry's is missing. */
static void index_head_of_new(weir__index_node *node, const weir__index_node *old, uint32_t place)
{
    weir_bytes const key = weir__kv_key_bytes(node->keys[place]);
    uint32_t const first = index_first(old);
    node->prefix = old->prefix;
    if (old->count < first + 2 ||
        index_common(key, weir__kv_key_bytes(old->keys[first])) < old->prefix)
        index_set_heads(node);
    else
        node->heads[place] = index_head(key, node->prefix);
}

/* ---- Writing ---- */

/* The way from the root to a leaf. */
typedef struct index_path {
    uint32_t height; /* Level of the root. */
    weir__index_node *nodes[WEIR__INDEX_HEIGHT];
    uint32_t places[WEIR__INDEX_HEIGHT]; /* Of the child, by level. */
} index_path;

static weir__index_node *index_descend(weir__index *index, weir_bytes key, index_path *path)
{
    weir__index_node *node = atomic_load_explicit(&index->root, memory_order_relaxed);
    *path = (index_path){.height = node != NULL ? node->level : 0};
    while (node != NULL && node->level > 0) {
        uint32_t const child = index_child(node, key);
        path->nodes[node->level] = node;
        path->places[node->level] = child;
        node = atomic_load_explicit(&node->children[child], memory_order_relaxed);
    }
    return node;
}

/* Puts `node` where the one at that level was: the one store that readers see. */
static void index_replace(weir__index *index, const index_path *path, uint32_t level,
                          weir__index_node *node)
{
    if (level >= path->height)
        atomic_store_explicit(&index->root, node, memory_order_release);
    else
        atomic_store_explicit(&path->nodes[level + 1]->children[path->places[level + 1]], node,
                              memory_order_release);
}

/* What an insertion has made and not linked yet. */
typedef struct index_growth {
    weir__index_node *made[2 * WEIR__INDEX_HEIGHT];
    weir__index_node *old[WEIR__INDEX_HEIGHT]; /* Copied, and so to be retired. */
    weir__kv_key *keys[WEIR__INDEX_HEIGHT];    /* That inner nodes got. */
    uint32_t made_count, old_count, key_count;
} index_growth;

static weir__index_node *index_grow(weir__index *index, index_growth *growth, uint32_t level)
{
    weir__index_node *const node = index_node(index, level);
    if (node != NULL)
        growth->made[growth->made_count++] = node;
    return node;
}

static void index_give_up(weir__index *index, const index_growth *growth)
{
    for (uint32_t i = 0; i < growth->made_count; i++)
        weir__index_free_node(index, growth->made[i]);
}

static void index_keep(weir__index *index, const index_growth *growth)
{
    for (uint32_t i = 0; i < growth->old_count; i++)
        index_retire(index, growth->old[i]);
    for (uint32_t i = 0; i < growth->key_count; i++)
        growth->keys[i]->separates++;
}

/* An entry that is to come in at `place` of `old`, and what that makes of it. */
typedef struct index_entry {
    weir__index_node *old;
    uint32_t place;
    weir__kv_key *key;
    weir__index_node *child, *beside; /* The halves of what was split below; NULL in a leaf. */
    weir__index_node *left, *right;   /* right is NULL if there was room. */
} index_entry;

static void index_split(index_entry *entry)
{
    weir__index_node *const old = entry->old;
    uint32_t const place = entry->place;
    /* Behind all others it begins a node, so that ascending keys leave full ones behind. */
    uint32_t const half = place == old->count ? old->count : old->count / 2;
    index_copy(entry->left, old, 0, place < half ? place : half);
    if (place < half) {
        index_append(entry->left, entry->key, entry->child);
        index_copy(entry->left, old, place, half - place);
        index_copy(entry->right, old, half, old->count - half);
    } else {
        index_copy(entry->right, old, half, place - half);
        index_append(entry->right, entry->key, entry->child);
        index_copy(entry->right, old, place, old->count - place);
    }
    index_set_heads(entry->left);
    index_set_heads(entry->right);
}

/* The lower half takes the place of the whole, which is before that of the entry. */
static void index_set_beside(const index_entry *entry)
{
    uint32_t const at = entry->place - 1;
    weir__index_node *const node = at < entry->left->count ? entry->left : entry->right;
    if (entry->beside != NULL)
        atomic_init(&node->children[node == entry->left ? at : at - entry->left->count],
                    entry->beside);
}

static bool index_enter(weir__index *index, index_growth *growth, index_entry *entry)
{
    weir__index_node *const old = entry->old;
    bool const full = old->count == WEIR__INDEX_FANOUT;
    entry->left = index_grow(index, growth, old->level);
    entry->right = entry->left != NULL && full ? index_grow(index, growth, old->level) : NULL;
    if (entry->left == NULL || (full && entry->right == NULL))
        return false;
    growth->old[growth->old_count++] = old;
    if (full) {
        index_split(entry);
    } else {
        index_copy(entry->left, old, 0, entry->place);
        index_append(entry->left, entry->key, entry->child);
        index_copy(entry->left, old, entry->place, old->count - entry->place);
        index_head_of_new(entry->left, old, entry->place);
    }
    index_set_beside(entry);
    return true;
}

static bool index_raise_root(weir__index *index, index_growth *growth, const index_entry *entry)
{
    weir__index_node *const root = index_grow(index, growth, entry->left->level + 1);
    if (root == NULL)
        return false;
    index_append(root, entry->left->keys[0], entry->left);
    index_append(root, entry->right->keys[0], entry->right);
    index_set_heads(root);
    growth->keys[growth->key_count++] = root->keys[0];
    growth->keys[growth->key_count++] = root->keys[1];
    atomic_store_explicit(&index->root, root, memory_order_release);
    return true;
}

/* From the leaf up, as far as nodes are split; nothing is linked until all of it is made. */
static bool index_insert_along(weir__index *index, index_growth *growth, const index_path *path,
                               index_entry *entry)
{
    for (uint32_t level = 0; index_enter(index, growth, entry); level++) {
        if (entry->right == NULL) {
            index_replace(index, path, level, entry->left);
            return true;
        }
        if (level == path->height)
            return index_raise_root(index, growth, entry);
        *entry = (index_entry){.old = path->nodes[level + 1],
                               .place = path->places[level + 1] + 1,
                               .key = entry->right->keys[0],
                               .child = entry->right,
                               .beside = entry->left};
        growth->keys[growth->key_count++] = entry->key;
    }
    return false;
}

static int index_plant(weir__index *index, weir__kv_key *key)
{
    weir__index_node *const leaf = index_node(index, 0);
    if (leaf == NULL)
        return WEIR_ENOMEM;
    index_append(leaf, key, NULL);
    index_set_heads(leaf);
    atomic_store_explicit(&index->root, leaf, memory_order_release);
    key->indexed = true;
    return WEIR_OK;
}

int weir__index_insert(weir__index *index, weir__kv_key *key)
{
    index_path path;
    index_growth growth;
    index_entry entry = {.key = key};
    bool equal;
    entry.old = index_descend(index, weir__kv_key_bytes(key), &path);
    if (entry.old == NULL)
        return index_plant(index, key);
    entry.place = index_place(entry.old, weir__kv_key_bytes(key), &equal);
    growth.made_count = growth.old_count = growth.key_count = 0;
    if (!index_insert_along(index, &growth, &path, &entry)) {
        index_give_up(index, &growth);
        return WEIR_ENOMEM;
    }
    index_keep(index, &growth);
    key->indexed = true;
    return WEIR_OK;
}

/* ---- Removing ---- */

/* Nobody can find it any more once it is in no leaf and parts no nodes. */
static void index_let_go(weir__index *index, weir__kv_key *key)
{
    if (key->indexed || key->separates > 0)
        return;
    key->next_dead = index->retired_keys;
    index->retired_keys = key;
    index->retirements++;
}

static weir__index_node *index_without(weir__index *index, weir__index_node *old, uint32_t place)
{
    weir__index_node *const node = index_node(index, old->level);
    if (node == NULL)
        return NULL;
    index_copy(node, old, 0, place);
    index_copy(node, old, place + 1, old->count - place - 1);
    index_set_heads(node);
    return node;
}

static void index_release_separator(weir__index *index, weir__kv_key *key)
{
    key->separates--;
    index_let_go(index, key);
}

/* Retires a node that was replaced for want of entry `place`, and all below that. */
static void index_retire_below(weir__index *index, weir__index_node *node, uint32_t place)
{
    while (node->level > 0) {
        weir__index_node *const child =
            atomic_load_explicit(&node->children[place], memory_order_relaxed);
        index_release_separator(index, node->keys[place]);
        index_retire(index, node);
        node = child;
        place = 0;
    }
    index_retire(index, node);
}

/* Takes entry `place` out of the lowest node above that keeps others; those below it are empty. */
int weir__index_remove(weir__index *index, weir__kv_key *key)
{
    index_path path;
    bool equal;
    weir__index_node *node = index_descend(index, weir__kv_key_bytes(key), &path);
    uint32_t place = index_place(node, weir__kv_key_bytes(key), &equal);
    uint32_t level = 0;
    /* The way has a node at each level: NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
    while (node->count == 1 && level < path.height) {
        node = path.nodes[++level];
        place = path.places[level];
    }
    weir__index_node *const smaller = node->count > 1 ? index_without(index, node, place) : NULL;
    if (smaller == NULL && node->count > 1)
        return WEIR_ENOMEM;
    bool const separates = key->separates > 0; /* Then it goes with the last node that needs it. */
    index_replace(index, &path, level, smaller);
    key->indexed = false;
    index_retire_below(index, node, place);
    if (!separates)
        index_let_go(index, key);
    return WEIR_OK;
}

static void index_free_below(weir__index *index, weir__index_node *node)
{
    for (uint32_t i = 0; i < node->count; i++) {
        if (node->level > 0) {
            index_free_below(index, atomic_load_explicit(&node->children[i], memory_order_relaxed));
            node->keys[i]->separates--;
        } else {
            node->keys[i]->indexed = false;
        }
        index_let_go(index, node->keys[i]);
    }
    weir__index_free_node(index, node);
}

void weir__index_free(weir__index *index)
{
    weir__index_node *const root = atomic_load_explicit(&index->root, memory_order_relaxed);
    if (root != NULL)
        index_free_below(index, root);
    atomic_store_explicit(&index->root, NULL, memory_order_relaxed);
    while (index->retired != NULL) {
        weir__index_node *const node = index->retired;
        index->retired = node->next;
        weir__index_free_node(index, node);
    }
}
