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

/* Every option that --set may change, from the table. */
static void print_settable(void)
{
    char names[1024] = "";
    size_t n = 0;
    for (const option *o = training_options; o->name && n < sizeof names; o++)
        if (o->marks & OPTION_SETTABLE) n += (size_t)snprintf(names + n, sizeof names - n, " %s", o->name);
    printf("\noptions of 'train' that --set may change:\n  ");
    help_put(names, 2, 2);
    printf("\n");
    help_put("The others belong to the model, or to the order of the data, and stay as they were when the "
             "run began.",
             0, 0);
}

static const command resume_command = {
    "resume",
    "DIR [options]",
    "Goes on with the run in DIR from its last checkpoint, to the same bits as if it had not been stopped.",
    options,
    1,
    1,
    "  tidegate resume run\n"
    "  tidegate resume run --set epochs=40 --set lr=0.001\n",
    print_settable,
    training_options,
};

/* DIR/last.h5, or the one before it where that is missing or cannot be read: what the driver does, too. */
static tg_status read_last(tg_context *cx, const char *directory, tg_archive **a)
{
    char path[4096], why[1024];
    snprintf(path, sizeof path, "%s/last.h5", directory);
    const tg_status s = tg_checkpoint_read(cx, path, a);
    if (s != TG_ERR_ABSENT && s != TG_ERR_DAMAGED && s != TG_ERR_FORMAT && s != TG_ERR_IO) return s;
    snprintf(why, sizeof why, "%s", tg_context_message(cx));
    snprintf(path, sizeof path, "%s/last.h5.1", directory);
    return tg_checkpoint_read(cx, path, a) ? tg_context_note(cx, s, "%s", why) : TG_OK;
}

/* Sets what one --set NAME=VALUE says; *which: the option. */
static int set_one(training_settings *values, const char *set, const option **which)
{
    char why[512];
    const char *equals = strchr(set, '=');
    const size_t bytes = equals ? (size_t)(equals - set) : 0;
    const option *o = *which = option_find(training_options, set, bytes);
    nearest near = nearest_to(set, bytes);
    if (!equals) return usage_error("resume", "--set takes NAME=VALUE, not '%s'", set);
    if (!o) nearest_offer_options(&near, training_options);
    if (!o)
        return usage_error("resume", "--set: a run has no option '%.*s'%s", (int)bytes, set,
                           nearest_ask(&near, "").s);
    if (!(o->marks & OPTION_SETTABLE))
        return usage_error("resume", "--set: %s was settled when the run began", o->name);
    return option_set(o, values, equals + 1, why, sizeof why) ? EXIT_DONE : usage_error("resume", "%s", why);
}

/* What is wrong with a --set whatever the run is like, before the checkpoint is read. */
static int check_sets(const option_list *set)
{
    static training_settings scratch;
    const option *o;
    int code = EXIT_DONE;
    for (int i = 0; i < set->n && !code; i++) code = set_one(&scratch, set->text[i], &o);
    return code;
}

/* What --set makes of the run's settings; says old and new. */
static int change(training_settings *values, const option_list *set)
{
    const training_settings was = *values;
    const option *o[OPTION_LIST_MOST];
    char old[128], new[128], why[512];
    int code = EXIT_DONE;
    for (int i = 0; i < set->n && !code; i++) code = set_one(values, set->text[i], &o[i]);
    for (int i = 0; i < set->n && !code; i++)
        if (!option_acts(training_options, o[i], values, why, sizeof why))
            code = usage_error("resume", "%s", why);
    if (!code && !training_settings_fit(values, why, sizeof why)) code = usage_error("resume", "%s", why);
    if (!code && values->optimizer == OPTIMIZER_RMSPROP && (was.momentum == 0) != (values->momentum == 0))
        code = usage_error("resume", "--set momentum: rmsprop began %s momentum, and cannot go on %s it",
                           was.momentum == 0 ? "without" : "with", was.momentum == 0 ? "with" : "without");
    for (int i = 0; i < set->n && !code && !values->quiet; i++) {
        option_text(o[i], &was, old, sizeof old);
        option_text(o[i], values, new, sizeof new);
        tell("%s: %s, was %s", o[i]->name, new, old);
    }
    return code;
}

/* Where the data of a role were when the checkpoint was made; NULL: nowhere, which is fine. False: the reason was
 * said. */
static bool path_then(const char *directory, const char *role, const tg_archive *a, const char **path)
{
    char entry[64];
    snprintf(entry, sizeof entry, "data/%s/path", role);
    *path = NULL;
    return !tg_archive_has(a, entry) || !tg_archive_get_text(a, entry, path) ||
           (fail("%s: %s is not a text", directory, entry), false);
}

/* Reads the data of one role: from `given` if told so, or else from where it was, if it is the same. *other: it
 * is not what the run had. */
static bool read_data(training *t, data_file *f, const char *role, const char *given, const tg_archive *a,
                      bool *other)
{
    char why[8192];
    const char *path = given;
    *other = false;
    const char *then;
    if (!path_then(t->settings.out, role, a, &then)) return false;
    if (!given) path = then;
    if (!training_read(t, f, role, path)) return false;
    *other = path && then && !data_same(f, a, why, sizeof why);
    if (*other && !given) return fail("%s", why), false;
    if (*other && !t->settings.quiet) tell("%s: not the %s data that the run had before", path, role);
    return true;
}

static int resume(training *t, const resume_settings *given, const tg_archive *a)
{
    if (tg_translator_get(t->cx, a, &t->translator)) return fail_context(t->cx);
    t->source_tokenizer = tg_vocabulary_tokenizer(t->translator.source);
    t->target_tokenizer = tg_vocabulary_tokenizer(t->translator.target);
    t->settings.tokenizer = tokenizer_choice(t->source_tokenizer);
    bool other;
    if (!read_data(t, &t->train, "train", given->train, a, &other)) return EXIT_FAILED;
    if (!read_data(t, &t->valid, "valid", given->valid, a, &t->other_validation)) return EXIT_FAILED;
    return training_run(t, true);
}

/* The run's settings, from the checkpoint and --set. */
static int settle(training *t, const resume_settings *given, tg_context *reader, const tg_archive *a)
{
    training_settings *o = &t->settings;
    char why[1024];
    const char *task, *directory = o->out;
    if (tg_archive_get_text(a, "task", &task)) return fail_context(reader);
    if (strcmp(task, "translate") != 0)
        return fail("%s: a run of task '%s': only 'translate' can be resumed here", directory, task);
    if (!options_get(training_options, o, a, why, sizeof why)) return fail("%s: %s", directory, why);
    if (!o->epochs && !o->steps) o->epochs = STANDARD_EPOCHS; /* as files of 0.1.0 say it */
    o->out = directory;
    o->quiet = given->quiet;
    o->force = false;
    o->valid = given->valid;
    if (!o->valid && !path_then(directory, "valid", a, &o->valid)) return EXIT_FAILED;
    return change(o, &given->set);
}

int command_resume(int argc, char *argv[])
{
    static training t; /* two paths make it large */
    resume_settings given = { 0 };
    const char *directory[2];
    const parsed p = options_parse(&resume_command, argc, argv, &given, directory);
    if (p != PARSED) return options_exit(p);
    const int wrong = check_sets(&given.set);
    if (wrong) return wrong;

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
