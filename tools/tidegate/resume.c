/* tools/tidegate/resume.c -- tidegate resume: goes on with a run, to the same bits as if it had
 * never been stopped. The checkpoint says everything but where the data is now.               */
#include <stdio.h>
#include <string.h>

#include "training.h"

typedef struct resume_settings {
    const char *train, *valid;
    option_list set;
    bool quiet;
} resume_settings;

#define AT(field) offsetof(resume_settings, field)
static const option options[] = {
    { "train", OPTION_TEXT, AT(train), NULL, 0, 0, "FILE", "go on with this training data instead" },
    { "valid", OPTION_TEXT, AT(valid), NULL, 0, 0, "FILE", "go on with this validation data instead" },
    { "set", OPTION_LIST, AT(set), NULL, 0, 0, "NAME=VALUE",
      "change an option of the run; may be given several times" },
    { "quiet", OPTION_FLAG, AT(quiet), NULL, 0, 0, NULL, "say nothing but warnings and errors" },
    { NULL },
};

static const command resume_command = {
    "resume",
    "DIR [options]",
    "Goes on with the run in DIR from its last checkpoint, to the same bits as if it had\n"
    "not been stopped. These options of the run may be changed with --set: epochs steps\n"
    "lr schedule warmup clip label-smoothing patience threads log-every valid-every\n"
    "checkpoint-every. The rest belongs to the model, or to the order of the data.",
    options,
    1,
    1,
};

/* DIR/last.h5, or the one before it where that is missing or damaged: what the driver does, too. */
static tg_status read_last(tg_context *cx, const char *directory, tg_archive **a)
{
    char path[4096], why[1024];
    snprintf(path, sizeof path, "%s/last.h5", directory);
    const tg_status s = tg_checkpoint_read(cx, path, a);
    if (s != TG_ERR_ABSENT && s != TG_ERR_DAMAGED && s != TG_ERR_FORMAT) return s;
    snprintf(why, sizeof why, "%s", tg_context_message(cx));
    snprintf(path, sizeof path, "%s/last.h5.1", directory);
    return tg_checkpoint_read(cx, path, a) ? tg_context_note(cx, s, "%s", why) : TG_OK;
}

/* One --set NAME=VALUE; says old and new. */
static int change(training_settings *values, const char *set)
{
    char old[128], new[128], why[512];
    const char *equals = strchr(set, '=');
    const option *o = equals ? option_find(training_options, set, (size_t)(equals - set)) : NULL;
    if (!equals) return usage_error("resume", "--set takes NAME=VALUE, not '%s'", set);
    if (!o) return usage_error("resume", "--set: a run has no option '%.*s'", (int)(equals - set), set);
    if (!(o->keep & OPTION_SETTABLE))
        return usage_error("resume", "--set: %s was settled when the run began", o->name);
    option_text(o, values, old, sizeof old);
    if (!option_set(o, values, equals + 1, why, sizeof why)) return usage_error("resume", "%s", why);
    option_text(o, values, new, sizeof new);
    if (!values->quiet) tell("%s: %s, was %s", o->name, new, old);
    return EXIT_DONE;
}

/* Reads the data of one role: from `given` if told so, or else from where it was, if it is the same. */
static bool read_data(training *t, data_file *f, const char *role, const char *given, const tg_archive *a)
{
    char entry[64], why[8192];
    const char *path = given;
    snprintf(entry, sizeof entry, "data/%s/path", role);
    if (!given && tg_archive_has(a, entry) && tg_archive_get_text(a, entry, &path))
        return fail("%s: %s is not a text", t->settings.out, entry), false;
    if (!training_read(t, f, role, path)) return false;
    return given || !path || data_same(f, a, why, sizeof why) || (fail("%s", why), false);
}

static int resume(training *t, const resume_settings *given, const tg_archive *a)
{
    if (tg_translator_get(t->cx, a, &t->translator)) return fail_context(t->cx);
    t->source_tokenizer = tg_vocabulary_tokenizer(t->translator.source);
    t->target_tokenizer = tg_vocabulary_tokenizer(t->translator.target);
    t->settings.tokenizer = tokenizer_choice(t->source_tokenizer);
    if (!read_data(t, &t->train, "train", given->train, a)) return EXIT_FAILED;
    if (!read_data(t, &t->valid, "valid", given->valid, a)) return EXIT_FAILED;
    return training_run(t, true);
}

/* The run's settings, from the checkpoint and --set. */
static int settle(training *t, const resume_settings *given, tg_context *reader, const tg_archive *a)
{
    training_settings *o = &t->settings;
    const char *task, *directory = o->out;
    if (tg_archive_get_text(a, "task", &task)) return fail_context(reader);
    if (strcmp(task, "translate") != 0)
        return fail("%s: a run of task '%s': only 'translate' can be resumed here", directory, task);
    if (options_get(training_options, o, a))
        return fail("%s: the options that the checkpoint holds cannot be read", directory);
    o->out = directory;
    o->quiet = given->quiet;
    o->force = false;
    for (int i = 0; i < given->set.n; i++) {
        const int code = change(o, given->set.text[i]);
        if (code) return code;
    }
    return EXIT_DONE;
}

int command_resume(int argc, char *argv[])
{
    static training t; /* two paths make it large */
    resume_settings given = { 0 };
    const char *directory[2];
    const parsed p = options_parse(&resume_command, argc, argv, &given, directory);
    if (p != PARSED) return options_exit(p);

    tg_context *reader = new_context(0, 1); /* the run's own has the seed that the checkpoint tells */
    tg_archive *a = NULL;
    t.settings.out = directory[0];
    int result = read_last(reader, directory[0], &a) ? fail_context(reader) : settle(&t, &given, reader, a);
    if (!result) {
        t.cx = new_context((uint64_t)t.settings.seed, (int)t.settings.threads);
        result = tg_context_ok(t.cx) ? resume(&t, &given, a) : fail_context(t.cx);
    }
    tg_archive_free(a);
    tg_context_free(t.cx);
    tg_context_free(reader);
    return result;
}
