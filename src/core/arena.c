/* core/arena.c -- a bump allocator whose blocks are kept. */
#include <string.h>

#include "core/context.h"

#ifndef TG_DEBUG_ARENA
#define TG_DEBUG_ARENA 0
#endif

enum { ALIGN = 64, SMALLEST_BLOCK = 1 << 16 };

struct arena_block {
    arena_block *next;
    size_t capacity;
    char *base;
};

void tg__arena_init(arena *a, tg_context *cx) { *a = (arena){ .cx = cx }; }

/* After a reset the first block gets the arena's peak size, so that the next pass needs one block only. If the allocator cannot
 * give that much in one block, the size is halved until it can, down to the bytes that are needed now. */
static arena_block *block_new(arena *a, size_t bytes)
{
    const size_t least = TG_DEBUG_ARENA || bytes > SMALLEST_BLOCK ? bytes : SMALLEST_BLOCK;
    size_t capacity = !TG_DEBUG_ARENA && !a->first && least < a->peak ? a->peak : least, whole;
    if (__builtin_add_overflow(capacity, sizeof(arena_block) + ALIGN, &whole)) return NULL;
    char *p;
    while (!(p = a->cx->config.allocate(a->cx->config.allocator_user, whole))) {
        if (capacity == least) return NULL;
        capacity = capacity / 2 > least ? capacity / 2 : least;
        whole = capacity + sizeof(arena_block) + ALIGN;
    }
    arena_block *b = (arena_block *)(void *)p;
    char *base = (char *)(((uintptr_t)(p + sizeof *b) + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
    *b = (arena_block){ NULL, capacity, base };
    return b;
}

void *tg__arena_take(arena *a, size_t bytes)
{
    size_t rounded;
    if (a->cx->status) return NULL;
    if (__builtin_add_overflow(bytes, (size_t)(ALIGN - 1), &rounded)) rounded = (size_t)-1;
    rounded &= ~(size_t)(ALIGN - 1);
    while (TG_DEBUG_ARENA || !a->current || a->current->capacity - a->used < rounded) {
        arena_block *next = a->current ? a->current->next : a->first;
        if (!next || next->capacity < rounded) {
            arena_block *b = block_new(a, rounded);
            if (!b) {
                tg_context_fail(a->cx, TG_ERR_MEMORY, "out of memory: %zu bytes more", bytes);
                return NULL;
            }
            b->next = next;
            if (a->current)
                a->current->next = b;
            else
                a->first = b;
            next = b;
        }
        a->current = next;
        a->used = 0;
        if (TG_DEBUG_ARENA) break;
    }
    void *p = a->current->base + a->used;
    a->used += rounded;
    a->live += rounded;
    if (a->live > a->peak) a->peak = a->live;
    return p;
}

void *tg__arena_zeroed(arena *a, size_t bytes)
{
    void *p = tg__arena_take(a, bytes);
    return p ? memset(p, 0, bytes) : NULL;
}

char *tg__arena_text(arena *a, const char *s)
{
    const size_t bytes = strlen(s) + 1;
    char *p = tg__arena_take(a, bytes);
    return p ? memcpy(p, s, bytes) : NULL;
}

/* Several blocks become one of the size that was needed: work of changing shape would otherwise leave
 * ever more blocks behind that are just too small. */
void tg__arena_reset(arena *a)
{
    const size_t peak = a->peak;
    if (TG_DEBUG_ARENA || (a->first && a->first->next)) tg__arena_free(a);
    a->current = NULL;
    a->used = a->live = 0;
    a->peak = peak;
}

static void release_blocks(arena *a, arena_block *b)
{
    for (arena_block *next; b; b = next) {
        next = b->next;
        a->cx->config.release(a->cx->config.allocator_user, b);
    }
}

arena_mark tg__arena_mark(const arena *a) { return (arena_mark){ a->current, a->used, a->live }; }

void tg__arena_rewind(arena *a, arena_mark m)
{
    if (TG_DEBUG_ARENA) {
        arena_block **later = m.current ? &m.current->next : &a->first;
        release_blocks(a, *later);
        *later = NULL;
    }
    a->current = m.current;
    a->used = m.used;
    a->live = m.live;
}

bool tg__arena_holds(const arena *a, const void *p)
{
    for (const arena_block *b = a->first; b; b = b->next)
        if ((uintptr_t)p - (uintptr_t)b->base < b->capacity) return true;
    return false;
}

void tg__arena_free(arena *a)
{
    release_blocks(a, a->first);
    tg__arena_init(a, a->cx);
}
