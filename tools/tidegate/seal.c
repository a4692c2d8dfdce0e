/* tools/tidegate/seal.c -- tidegate verify and tidegate seal. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "options.h"
#include "program.h"

static const char *const checkpoints_of_a_run[] = { "last.h5", "last.h5.1", "best.h5" };
enum { CHECKPOINTS = sizeof checkpoints_of_a_run / sizeof *checkpoints_of_a_run };

/* "<folder><name>", the folder with its slash; "" if that is too long. */
typedef struct file_path {
    char s[4096];
} file_path;

static file_path path_of(const char *folder, size_t bytes, const char *name)
{
    file_path p;
    const int n = snprintf(p.s, sizeof p.s, "%.*s%s", (int)bytes, folder, name);
    if (n < 0 || (size_t)n >= sizeof p.s) p.s[0] = 0;
    return p;
}

/* ", last.h5.1": the whole checkpoints of a run that lie beside `path`, which is none of them. */
static void find_whole(tg_context *cx, const char *path, char *found, size_t bytes)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t used = 0;
    *found = 0;
    for (int i = 0; i < CHECKPOINTS; i++) {
        const file_path other = path_of(path, (size_t)(name - path), checkpoints_of_a_run[i]);
        if (!strcmp(name, checkpoints_of_a_run[i]) || access(other.s, F_OK)) continue;
        if (tg_checkpoint_verify(cx, other.s)) continue;
        used += (size_t)snprintf(found + used, bytes - used, ", %.200s", other.s);
        if (used >= bytes) return;
    }
}

/* What verify found, and where to go on from -> EXIT_FAILED. */
static int fail_damaged(tg_context *cx, tg_status s, const char *path, const char *advice)
{
    char why[600], whole[700];
    snprintf(why, sizeof why, "%s", tg_context_message(cx));
    if (s != TG_ERR_DAMAGED && s != TG_ERR_FORMAT) return fail("%s", why);
    find_whole(cx, path, whole, sizeof whole);
    if (!*whole) return fail("%s%s; no whole checkpoint of a run lies beside it", why, advice);
    return fail("%s%s; whole beside it: %s", why, advice, whole + 2);
}

static void print_file(const char *path, const char *what)
{
    struct stat is;
    put_text(path);
    if (stat(path, &is)) is.st_size = 0;
    printf(": %s, %lld bytes\n", what, (long long)is.st_size);
}

/* ---- verify ---- */

static const command verify_command = {
    "verify",
    "MODEL [MODEL ...]",
    "Is each checkpoint whole: is its seal unbroken, and its content readable? MODEL is a checkpoint, "
    "or the directory of a run: its last.h5, last.h5.1 and best.h5.",
    NULL,
    1,
    1,
    "  tidegate verify run\n"
    "  tidegate verify run/best.h5 && cp run/best.h5 model.h5\n",
};

static int verify_file(tg_context *cx, const char *path)
{
    const tg_status s = tg_checkpoint_verify(cx, path);
    if (s) return fail_damaged(cx, s, path, "");
    print_file(path, "ok");
    return EXIT_DONE;
}

static int verify_directory(tg_context *cx, const char *path)
{
    int result = EXIT_DONE, n = 0;
    for (int i = 0; i < CHECKPOINTS; i++) {
        char folder[4096];
        snprintf(folder, sizeof folder, "%s/", path);
        const file_path file = path_of(folder, strlen(folder), checkpoints_of_a_run[i]);
        if (access(file.s, F_OK)) continue;
        n++;
        if (verify_file(cx, file.s)) result = EXIT_FAILED;
    }
    return n ? result : fail("%s: no checkpoint of a run is in this directory", path);
}

int command_verify(int argc, char *argv[])
{
    command any_number = verify_command;
    if (argc > 1) any_number.max = argc;
    const char **name = calloc((size_t)any_number.max + 1, sizeof *name);
    if (!name) return fail("out of memory");
    const parsed p = options_parse(&any_number, argc, argv, NULL, name);
    tg_context *cx = p == PARSED ? new_context(0, 1) : NULL;
    int result = p == PARSED ? EXIT_DONE : options_exit(p);
    if (cx && !tg_context_ok(cx)) result = fail_context(cx);
    for (int i = 0; cx && tg_context_ok(cx) && name[i]; i++) {
        struct stat is;
        const bool directory = stat(name[i], &is) == 0 && S_ISDIR(is.st_mode);
        if (directory ? verify_directory(cx, name[i]) : verify_file(cx, name[i])) result = EXIT_FAILED;
    }
    tg_context_free(cx);
    free(name);
    return p == PARSED ? finish_output(result) : result;
}

/* ---- seal ---- */

typedef struct settings {
    bool force;
} settings;

static const option seal_options[] = {
    { "force", OPTION_FLAG, offsetof(settings, force), NULL, 0, 0, NULL,
      "the file was edited, and nothing else happened to it" },
    { NULL },
};

static const command seal_command = {
    "seal",
    "FILE [options]",
    "Makes the seal of a checkpoint anew, after an edit by hand. The content must be readable. Whether an "
    "edit or damage changed it cannot be told: you say so with --force.",
    seal_options,
    1,
    1,
    "  tidegate seal run/best.h5                 what is there to be said?\n"
    "  tidegate seal --force run/best.h5         I have edited it\n",
};

/* HDF5 may crash on what no seal vouches for. Then it takes a child process along, which has saved nothing. */
static int seal_in_a_child(const char *path)
{
    fflush(NULL);
    const pid_t child = fork();
    if (child < 0) return fail("%s: cannot be sealed: %s", path, strerror(errno));
    if (!child) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
        tg_context *cx = new_context(0, 1);
        _exit(tg_context_ok(cx) && !tg_checkpoint_seal(cx, path) ? EXIT_DONE : fail_context(cx));
    }
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return fail("%s: cannot be sealed: %s", path, strerror(errno));
    if (WIFEXITED(status)) return WEXITSTATUS(status) == EXIT_DONE ? EXIT_DONE : EXIT_FAILED;
    return fail("%s: is damaged: HDF5 crashed while it read the file, which was not sealed", path);
}

int command_seal(int argc, char *argv[])
{
    const char *file[2];
    settings given = { 0 };
    const parsed p = options_parse(&seal_command, argc, argv, &given, file);
    if (p != PARSED) return options_exit(p);

    tg_context *cx = new_context(0, 1);
    const tg_status s = tg_context_ok(cx) ? tg_checkpoint_verify(cx, file[0]) : tg_context_status(cx);
    int result = EXIT_DONE;
    if (s && s != TG_ERR_DAMAGED && s != TG_ERR_FORMAT)
        result = fail_context(cx);
    else if (s && !given.force)
        result =
            fail_damaged(cx, s, file[0],
                         ". It was not sealed: whether an edit changed it, or damage, cannot be told; if you "
                         "edited it, say --force");
    else if (s)
        result = seal_in_a_child(file[0]);
    if (!result) print_file(file[0], s ? "sealed" : "ok, its seal is whole already");
    tg_context_free(cx);
    return finish_output(result);
}
