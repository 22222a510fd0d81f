#include "base/heap.h"

#define WEIR__HEAP_FIRST_CAPACITY 8

void weir__heap_init(weir__heap *heap, const weir_env *env)
{
    *heap = (weir__heap){.env = env};
}

void weir__heap_free(weir__heap *heap)
{
    weir__free(heap->env, heap->nodes, heap->capacity * sizeof(weir__heap_node *));
    heap->nodes = NULL;
    heap->capacity = heap->count = 0;
}

int weir__heap_reserve(weir__heap *heap, size_t count)
{
    if (count <= heap->capacity)
        return WEIR_OK;
    size_t capacity = heap->capacity > 0 ? heap->capacity : WEIR__HEAP_FIRST_CAPACITY;
    while (capacity < count && capacity <= SIZE_MAX / 2)
        capacity *= 2;
    if (capacity < count || capacity > SIZE_MAX / sizeof(weir__heap_node *))
        return WEIR_ENOMEM;
    void *const nodes =
        weir__resize(heap->env, heap->nodes, heap->capacity * sizeof(weir__heap_node *),
                     capacity * sizeof(weir__heap_node *));
    if (nodes == NULL)
        return WEIR_ENOMEM;
    heap->nodes = nodes;
    heap->capacity = capacity;
    return WEIR_OK;
}

static bool heap_before(const weir__heap_node *a, const weir__heap_node *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void heap_put(weir__heap *heap, size_t place, weir__heap_node *node)
{
    heap->nodes[place - 1] = node;
    node->place = place;
}

/* The place is a hole; settles the node there or above. */
static void heap_rise(weir__heap *heap, size_t place, weir__heap_node *node)
{
    for (; place > 1; place /= 2) {
        weir__heap_node *const parent = heap->nodes[place / 2 - 1];
        if (!heap_before(node, parent))
            break;
        heap_put(heap, place, parent);
    }
    heap_put(heap, place, node);
}

/* The place is a hole; settles the node there or below. */
static void heap_sink(weir__heap *heap, size_t place, weir__heap_node *node)
{
    for (size_t child; (child = place * 2) <= heap->count; place = child) {
        if (child < heap->count && heap_before(heap->nodes[child], heap->nodes[child - 1]))
            child++;
        weir__heap_node *const least = heap->nodes[child - 1];
        if (!heap_before(least, node))
            break;
        heap_put(heap, place, least);
    }
    heap_put(heap, place, node);
}

static void heap_settle(weir__heap *heap, size_t place, weir__heap_node *node)
{
    if (place > 1 && heap_before(node, heap->nodes[place / 2 - 1]))
        heap_rise(heap, place, node);
    else
        heap_sink(heap, place, node);
}

int weir__heap_set(weir__heap *heap, weir__heap_node *node, uint64_t at_ns)
{
    return weir__heap_set_ranked(heap, node, at_ns, heap->settings++);
}

int weir__heap_set_ranked(weir__heap *heap, weir__heap_node *node, uint64_t at_ns, uint64_t rank)
{
    if (node->place == 0) {
        if (weir__heap_reserve(heap, heap->count + 1))
            return WEIR_ENOMEM;
        node->place = ++heap->count;
    }
    node->at_ns = at_ns;
    node->order = rank;
    heap_settle(heap, node->place, node);
    return WEIR_OK;
}

void weir__heap_remove(weir__heap *heap, weir__heap_node *node)
{
    if (node->place == 0)
        return;
    weir__heap_node *const last = heap->nodes[--heap->count];
    if (last != node)
        heap_settle(heap, node->place, last);
    node->place = 0;
}

weir__heap_node *weir__heap_first(const weir__heap *heap)
{
    return heap->count > 0 ? heap->nodes[0] : NULL;
}

uint64_t weir__heap_next_ns(const weir__heap *heap)
{
    return heap->count > 0 ? heap->nodes[0]->at_ns : WEIR_NEVER;
}
