/* tests/checkpoint_world.h -- a run `a` that has a file, and loads of that file which must change nothing. */
#ifndef CHECKPOINT_WORLD_H
#define CHECKPOINT_WORLD_H

#include "checkpoint_fixture.h"

static run a;
static char path[256];

static void setup(void)
{
    folder_make();
    run_new(&a, (run_config){ .seed = 7 });
    run_on(&a, 5);
    snprintf(path, sizeof path, "%s", in_folder("x.h5"));
}

static void teardown(void)
{
    run_free(&a);
    folder_remove();
}

static void save_a(void)
{
    ck_assert_msg(tg_checkpoint_save(path, &a.all) == TG_OK, "%s", tg_context_message(a.cx));
}

/* Loads `file` (of a) into a new run; nothing of it may change, and the sentence must have both words. */
static void refused(run_config c, tg_status status, const char *word, const char *other)
{
    run b;
    run_new(&b, c);
    run_on(&b, 2);
    const bytes before = run_bytes(&b);
    const tg_status s = tg_checkpoint_load(path, &b.all);
    const char *message = tg_context_message(b.cx);
    ck_assert_msg(s == status && strstr(message, word) && strstr(message, other), "%d: %s", s, message);
    ck_assert_msg(strstr(message, path) != NULL, "%s", message);
    ck_assert(tg_context_ok(b.cx)); /* and poisons nothing */
    const bytes after = run_bytes(&b);
    ck_assert(same_bytes(before, after));
    free(before.data);
    free(after.data);
    run_free(&b);
}

#endif
