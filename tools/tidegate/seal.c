/* tools/tidegate/seal.c -- tidegate verify and tidegate seal. */
#include <stdio.h>
#include <sys/stat.h>

#include "options.h"
#include "program.h"

static const command verify_command = {
    "verify",
    "FILE",
    "Is the checkpoint whole: is its seal unbroken, and its content readable?",
    NULL,
    1,
    1,
    "  tidegate verify run/last.h5\n"
    "  tidegate verify run/best.h5 && cp run/best.h5 model.h5\n",
};
static const command seal_command = {
    "seal",
    "FILE",
    "Makes the seal of a checkpoint anew, after an edit by hand. The content must be readable.",
    NULL,
    1,
    1,
    "  tidegate seal run/best.h5\n"
    "  h5repack run/best.h5 edited.h5 && tidegate seal edited.h5\n",
};

/* Runs work on the file, and says that all is well in one line. */
static int run(const command *c, int argc, char *argv[], tg_status (*work)(tg_context *, const char *),
               const char *done)
{
    const char *file[2];
    const parsed p = options_parse(c, argc, argv, NULL, file);
    if (p != PARSED) return options_exit(p);

    struct stat is;
    tg_context *cx = new_context(0, 1);
    const bool ok = tg_context_ok(cx) && work(cx, file[0]) == TG_OK;
    if (!ok)
        fail_context(cx);
    else if (stat(file[0], &is) == 0) {
        put_text(file[0]);
        printf(": %s, %lld bytes\n", done, (long long)is.st_size);
    }
    tg_context_free(cx);
    return finish_output(ok ? EXIT_DONE : EXIT_FAILED);
}

static tg_status verify(tg_context *cx, const char *path) { return tg_checkpoint_verify(cx, path); }

static tg_status seal(tg_context *cx, const char *path) { return tg_checkpoint_seal(cx, path); }

int command_verify(int argc, char *argv[]) { return run(&verify_command, argc, argv, verify, "ok"); }

int command_seal(int argc, char *argv[]) { return run(&seal_command, argc, argv, seal, "sealed"); }
