/* tools/tidegate/main.c -- the program: finds the command and hands over. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "options.h"
#include "program.h"

static const struct entry {
    const char *name;
    int (*run)(int argc, char *argv[]);
    const char *help;
} entries[] = {
    { "train", command_train, "learn a model from files" },
    { "resume", command_resume, "go on with a run that was stopped, to the same bits" },
    { "translate", command_translate, "sentences in, sentences out" },
    { "evaluate", command_evaluate, "how good a model is on a file, as JSON" },
    { "score", command_score, "BLEU and chrF of anybody's translations" },
    { "plot", command_plot, "learning curves of runs, as a picture" },
    { "inspect", command_inspect, "what a checkpoint holds" },
    { "verify", command_verify, "is a checkpoint whole?" },
    { "seal", command_seal, "make the seal anew after an edit by hand" },
    { "doctor", command_doctor, "how this machine is used" },
    { "bench", command_bench, "how fast the recurrent layer is here" },
};
enum { ENTRIES = sizeof entries / sizeof *entries };

static void put_line(bool error, const char *line)
{
    if (error)
        tell("%s", line);
    else
        puts(line);
}

/* The short help, on stdout, or on stderr as part of an error. */
static void print_help(bool error)
{
    static const char *const head[] = { "usage: tidegate COMMAND [arguments]", "",
                                        "Trains gated recurrent networks, and uses them.", "", "commands:" };
    static const char *const tail[] = {
        "", "'tidegate help COMMAND', or 'tidegate COMMAND --help', shows its options and",
        "examples; 'tidegate --version', or -V, the version."
    };
    char line[128];
    for (size_t i = 0; i < sizeof head / sizeof *head; i++) put_line(error, head[i]);
    for (int i = 0; i < ENTRIES; i++) {
        snprintf(line, sizeof line, "  %-10s  %s", entries[i].name, entries[i].help);
        put_line(error, line);
    }
    for (size_t i = 0; i < sizeof tail / sizeof *tail; i++) put_line(error, tail[i]);
}

static int no_such_command(const char *name)
{
    const bool dash = name[0] == '-';
    nearest near = nearest_to(name, strlen(name));
    for (int i = 0; i < ENTRIES; i++) nearest_offer(&near, entries[i].name, strlen(entries[i].name));
    nearest_offer(&near, "--version", strlen("--version"));
    return usage_error("", "there is no %s '%s'%s", dash ? "option" : "command", name,
                       nearest_ask(&near, "").s);
}

static const struct entry *entry_named(const char *name)
{
    for (int i = 0; i < ENTRIES; i++)
        if (strcmp(name, entries[i].name) == 0) return &entries[i];
    return NULL;
}

/* "help COMMAND ...": that command is asked. */
static int help_of(int argc, char *argv[])
{
    char *asked[3] = { NULL };
    int n = 0;
    const struct entry *e = entry_named(argv[0]);
    if (!e) return no_such_command(argv[0]);
    if (argc > 2) return usage_error("help", "one argument too many: '%s'", argv[2]);
    if (argc == 2) asked[n++] = argv[1]; /* "help train translate" */
    asked[n++] = (char[]){ "--help" };
    return e->run(n, asked);
}

static int dispatch(int argc, char *argv[])
{
    const char *name = argv[1];
    const bool help = strcmp(name, "help") == 0;
    if (help && argc > 2) return help_of(argc - 2, argv + 2);
    if (help || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_help(false);
        return finish_output(EXIT_DONE);
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        printf("tidegate %s\n", tg_version());
        return finish_output(EXIT_DONE);
    }
    const struct entry *e = entry_named(name);
    return e ? e->run(argc - 2, argv + 2) : no_such_command(name);
}

/* A standard stream that was closed must not become the number of the next file that is opened, or an
 * error message would end up in a checkpoint. Reading or writing it fails as before. */
static void occupy_closed_streams(void)
{
    for (int stream = 0; stream <= 2; stream++)
        if (fcntl(stream, F_GETFD) < 0) (void)!open("/dev/null", stream == 0 ? O_WRONLY : O_RDONLY);
}

int main(int argc, char *argv[])
{
    tg_program_fix_blas(argv);
    occupy_closed_streams();
    /* a closed pipe or a full quota is an error like any other: it must not kill in mid-save */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    if (argc > 1) return dispatch(argc, argv);
    print_help(true);
    return EXIT_USAGE;
}
