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

static int print_help(void)
{
    printf("usage: tidegate COMMAND [arguments]\n\n"
           "Trains gated recurrent networks, and uses them.\n\ncommands:\n");
    for (int i = 0; i < ENTRIES; i++) printf("  %-10s  %s\n", entries[i].name, entries[i].help);
    printf("\n'tidegate COMMAND --help' tells more; 'tidegate --version' the version.\n");
    return finish_output(EXIT_DONE);
}

static int dispatch(int argc, char *argv[])
{
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        return print_help();
    if (strcmp(name, "--version") == 0) {
        printf("tidegate %s\n", tg_version());
        return finish_output(EXIT_DONE);
    }
    for (int i = 0; i < ENTRIES; i++)
        if (strcmp(name, entries[i].name) == 0) return entries[i].run(argc - 2, argv + 2);
    return usage_error("", "there is no %s '%s'", name[0] == '-' ? "option" : "command", name);
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
    if (argc < 2) return usage_error("", "a command is missing");
    return dispatch(argc, argv);
}
