/* A checkpoint under damage, crashes, failing calls, refused memory, and two savers at once. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "checkpoint_fixture.h"

static run a, b;
static char path[256];

static void setup(void)
{
    folder_make();
    run_new(&a, (run_config){ .seed = 7 });
    run_new(&b, (run_config){ .seed = 7 });
    run_on(&a, 5);
    run_on(&b, 2);
    snprintf(path, sizeof path, "%s", in_folder("x.h5"));
}

static void teardown(void)
{
    fault_none();
    refuse_at = 0;
    tg__hdf5_fail_at = 0;
    run_free(&a);
    run_free(&b);
    folder_remove();
}

/* A cheap look at everything a load may change. */
static uint64_t state_of(const run *r)
{
    uint64_t h = (uint64_t)tg_context_step(r->cx) * 31 + (uint64_t)tg_optimizer_steps(r->o);
    const struct {
        const void *at;
        size_t n;
    } part[] = { { r->ps->value, r->ps->flat * sizeof(tg_real) },
                 { tg__optimizer_moment(r->o, 0), r->ps->flat * sizeof(tg_real) },
                 { tg__optimizer_moment(r->o, 1), r->ps->flat * sizeof(tg_real) },
                 { r->state[0].h->data, 8 * sizeof(tg_real) },
                 { r->state[1].h->data, 8 * sizeof(tg_real) },
                 { &r->progress, sizeof r->progress },
                 { &r->schedule, sizeof r->schedule } };
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        for (size_t k = 0; k < part[i].n; k++)
            h = (h ^ ((const unsigned char *)part[i].at)[k]) * 1099511628211u;
    return h;
}

static tg_status save_a(void) { return tg_checkpoint_save(path, &a.all); }
static tg_status load_b(void) { return tg_checkpoint_load(path, &b.all); }

START_TEST(any_damage_is_found_and_changes_nothing)
{
    const uint64_t before = state_of(&b);
    unsigned seed = 1;
    ck_assert_int_eq(save_a(), TG_OK);
    const bytes whole = bytes_of(path);
    const int fd = open(path, O_RDWR);
    for (int i = 0; i < 2000; i++) {
        seed = seed * 1664525 + 1013904223;
        const size_t at =
            i < 256 ? (size_t)i / 8 : (seed >> 8) % whole.n; /* the header in full, the rest at random */
        const unsigned char bad =
            whole.data[at] ^ (unsigned char)(1 << (i < 256 ? i % 8 : (int)(seed >> 5 & 7)));
        ck_assert_int_eq(pwrite(fd, &bad, 1, (off_t)at), 1);
        const tg_status s = load_b();
        const bool newer = at == 8 ? bad > 1 : at > 8 && at < 12; /* which no other damage is taken for */
        ck_assert_msg(s == (at < 8  ? TG_ERR_FORMAT
                            : newer ? TG_ERR_VERSION
                                    : TG_ERR_DAMAGED),
                      "byte %zu: %d", at, s);
        ck_assert_msg(state_of(&b) == before, "byte %zu", at);
        ck_assert_int_eq(pwrite(fd, whole.data + at, 1, (off_t)at), 1);
    }
    for (size_t n = whole.n; n-- > 0; n -= n > 64 ? 29 : 0) {
        ck_assert_int_eq(ftruncate(fd, (off_t)n), 0);
        ck_assert_msg(load_b() == TG_ERR_DAMAGED, "%zu bytes", n);
        ck_assert(state_of(&b) == before);
        if (n > 4096 && n < 4200)
            ck_assert(tg_checkpoint_seal(b.cx, path) != TG_OK); /* which mends no loss */
    }
    close(fd);
    bytes_to(path, whole.data, whole.n);
    ck_assert_int_eq(load_b(), TG_OK); /* and it was the damage */
    ck_assert(state_of(&b) != before && state_of(&b) == state_of(&a));
    free(whole.data);
}
END_TEST

START_TEST(any_failing_call_of_a_save_leaves_the_old_checkpoint)
{
    static const int error[] = { EIO, ENOSPC };
    for (int k = 0; k < 4; k++) { /* test_hdf5_file.c goes through more */
        a.all.keep_previous = k & 1;
        const bool for_good = k & 2;
        for (long at = 1, over = false; !over; at++) {
            folder_empty(false);
            ck_assert_int_eq(tg_checkpoint_save(path, &b.all), TG_OK);
            const bytes before = bytes_of(path);
            const int descriptors = open_descriptors();
            const long owed = live;
            fault_at(at, error[at & 1], for_good);
            const tg_status s = save_a();
            calls_usual();
            over = fault.done < at;
            const bytes after = bytes_of(path);
            const bool no_way_back = for_good && fault.renamed_before;
            ck_assert_msg(s == TG_OK || (s == TG_ERR_IO && (same_bytes(before, after) || no_way_back)),
                          "call %ld (%s): %d", at, fault.first, s);
            ck_assert_msg(!s == !same_bytes(before, after) || no_way_back, "call %ld (%s): %d", at,
                          fault.first, s);
            ck_assert_int_eq(folder_count(), 1 + !access(in_folder("x.h5.1"), F_OK));
            ck_assert_int_eq(open_descriptors(), descriptors);
            ck_assert_int_eq(live, owed);
            ck_assert_int_eq(tg_checkpoint_verify(a.cx, path), TG_OK);
            free(before.data), free(after.data);
        }
    }
}
END_TEST

START_TEST(any_failing_hdf5_call_of_a_save_leaves_the_old_checkpoint)
{
    ck_assert_int_eq(tg_checkpoint_save(path, &b.all), TG_OK);
    const bytes before = bytes_of(path);
    for (int for_good = 0; for_good < 2; for_good++)
        for (long at = 1, over = false; !over;
             at += 1 + at / 50) { /* many are the same call for another dataset */
            const long owed = live;
            tg__hdf5_done = 0;
            tg__hdf5_fail_at = at;
            tg__hdf5_fail_for_good = for_good;
            const tg_status s = save_a();
            over = tg__hdf5_done < at;
            tg__hdf5_fail_at = 0;
            ck_assert_msg(s == (over ? TG_OK : TG_ERR_IO), "HDF5 call %ld: %d", at, s);
            ck_assert_int_eq(live, owed);
            const bytes after = bytes_of(path);
            ck_assert(same_bytes(before, after) == !over);
            ck_assert_int_eq(folder_count(), 1);
            free(after.data);
            if (over) {
                ck_assert_int_gt(at, 200); /* the seam is in use */
                ck_assert_int_eq(tg_checkpoint_save(path, &b.all), TG_OK);
            }
        }
    free(before.data);
}
END_TEST

START_TEST(any_failing_call_of_a_load_changes_nothing)
{
    ck_assert_int_eq(save_a(), TG_OK);
    const uint64_t before = state_of(&b);
    bool over = false;
    for (long at = 1; !over; at++) {
        fault_at(at, EIO, at & 1);
        const tg_status s = load_b();
        over = fault.done < at || !strcmp(fault.first, "close"); /* nothing can be lost by then */
        fault_none();
        ck_assert_int_eq(s, over ? TG_OK : TG_ERR_IO);
        ck_assert((state_of(&b) == before) == !over);
    }
    run_free(&b);
    run_new(&b, (run_config){ .seed = 7 });
    run_on(&b, 2);
    over = false;
    for (long at = 1; !over; at += 1 + at / 50) { /* many are the same call for another dataset */
        const long owed = live;
        tg__hdf5_done = 0;
        tg__hdf5_fail_at = at;
        const tg_status s = load_b();
        over = tg__hdf5_done < at;
        tg__hdf5_fail_at = 0;
        ck_assert_msg(over ? !s : s == TG_ERR_IO || s == TG_ERR_FORMAT, "HDF5 call %ld: %d", at, s);
        ck_assert((state_of(&b) == before) == !over);
        ck_assert_int_eq(live, owed);
        if (over) ck_assert_int_gt(at, 200); /* the seam is in use */
    }
}
END_TEST

START_TEST(any_refused_allocation_of_a_save_leaves_the_old_checkpoint)
{
    ck_assert_int_eq(tg_checkpoint_save(path, &b.all), TG_OK);
    const bytes before = bytes_of(path);
    for (long n = 1, over = false; !over; n++) {
        const long owed = live;
        refuse_at = allocations + n;
        const tg_status s = save_a();
        over = allocations < refuse_at;
        refuse_at = 0;
        ck_assert_msg(s == (over ? TG_OK : TG_ERR_MEMORY), "allocation %ld: %d", n, s);
        ck_assert_int_eq(live, owed);
        ck_assert(tg_context_ok(a.cx));
        const bytes after = bytes_of(path);
        ck_assert(same_bytes(before, after) == !over);
        ck_assert_int_eq(folder_count(), 1);
        free(after.data);
        if (over) ck_assert_int_gt(n, 60);
    }
    free(before.data);
}
END_TEST

/* The address space of a child ends where it is now, and `more` bytes later. */
static tg_status load_in_little_memory(size_t more)
{
    int status;
    fflush(NULL);
    const pid_t child = fork();
    if (!child) {
        FILE *f = fopen("/proc/self/statm", "r");
        long pages = 0;
        if (!f || fscanf(f, "%ld", &pages) != 1) _exit(99);
        fclose(f);
        const rlim_t most = (rlim_t)pages * 4096 + more;
        setrlimit(RLIMIT_AS, &(struct rlimit){ most, most });
        _exit(-load_b());
    }
    waitpid(child, &status, 0);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) < 50, "%zu bytes: status %d", more, status);
    return (tg_status)-WEXITSTATUS(status);
}

START_TEST(too_little_memory_for_a_load_is_never_taken_for_damage)
{
#ifdef __SANITIZE_ADDRESS__
    return; /* it needs terabytes of addresses itself */
#endif
    ck_assert_int_eq(save_a(), TG_OK);
    bool seen[2] = { false };
    for (size_t more = 0; more < (size_t)40 << 20; more += 2100000) {
        const tg_status s = load_in_little_memory(more);
        ck_assert_msg(s == TG_OK || s == TG_ERR_MEMORY, "%zu bytes: %d", more, s);
        seen[s == TG_OK] = true;
    }
    ck_assert(seen[0] && seen[1]);
}
END_TEST

START_TEST(a_failure_of_hdf5_for_want_of_memory_says_so)
{
    static const struct {
        const hid_t *major, *minor;
        tg_status status;
    } row[] = { { &H5E_RESOURCE_g, &H5E_NOSPACE_g, TG_ERR_MEMORY },
                { &H5E_FILE_g, &H5E_CANTALLOC_g, TG_ERR_MEMORY },
                { &H5E_FILE_g, &H5E_CANTOPENFILE_g, TG_ERR_FORMAT } };
    ck_assert_int_eq(save_a(), TG_OK);
    ck_assert_int_eq(load_b(), TG_OK);
    for (int i = 0; i < 3; i++) {
        H5Epush2(H5E_DEFAULT, "file", "function", 1, H5E_ERR_CLS_g, *row[i].major, *row[i].minor, "planted");
        H5Epush2(H5E_DEFAULT, "file", "function", 1, H5E_ERR_CLS_g, H5E_FILE_g, H5E_CANTOPENFILE_g,
                 "above it");
        const hdf5_failure failure = tg__hdf5_failure();
        ck_assert_int_eq(failure.memory, row[i].status == TG_ERR_MEMORY);
        ck_assert_str_eq(failure.s, "planted");
        H5Eclear2(H5E_DEFAULT);
    }
}
END_TEST

/* A child of a process with threads keeps the memory of their stacks and not the threads: what only these stacks refer to is
 * no leak of the child. The leak checker asks this function before it looks. */
static bool child_of_threads;
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) { return child_of_threads; }

static atomic_bool enough;

static void *save_and_save(void *argument)
{
    run *r = argument;
    while (!atomic_load(&enough)) ck_assert_int_eq(tg_checkpoint_save(path, &r->all), TG_OK);
    return NULL;
}

START_TEST(a_child_of_a_process_that_is_saving_exits_and_may_load)
{
    pthread_t thread;
    ck_assert_int_eq(save_a(), TG_OK);
    atomic_store(&enough, false);
    ck_assert(!pthread_create(&thread, NULL, save_and_save, &a));
    for (int i = 0; i < 30; i++) {
        int status = 0, waited = 0;
        fflush(NULL);
        const pid_t child = fork();
        child_of_threads = !child;
        if (!child) exit(i % 2 ? 0 : load_b() != TG_OK); /* not _exit(): HDF5 ends, too */
        for (; waitpid(child, &status, WNOHANG) != child; waited++) {
            if (waited > 5000) kill(child, SIGKILL);
            usleep(1000);
        }
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child %d: status %d", i, status);
    }
    atomic_store(&enough, true);
    pthread_join(thread, NULL);
}
END_TEST

START_TEST(any_refused_allocation_of_a_load_changes_nothing)
{
    ck_assert_int_eq(save_a(), TG_OK);
    const uint64_t before = state_of(&b);
    for (long n = 1, over = false; !over; n++) {
        const long owed = live;
        refuse_at = allocations + n;
        const tg_status s = load_b();
        over = allocations < refuse_at;
        refuse_at = 0;
        ck_assert_msg(s == (over ? TG_OK : TG_ERR_MEMORY), "allocation %ld: %d %s", n, s,
                      tg_context_message(b.cx));
        ck_assert_int_eq(live, owed);
        ck_assert((state_of(&b) == before) == !over);
        if (over) ck_assert_int_gt(n, 60);
    }
}
END_TEST

START_TEST(a_crash_at_any_call_leaves_a_checkpoint_that_loads)
{
    for (int k = 0; k < 4; k++) {
        bool seen_old = false, seen_new = false;
        a.all.keep_previous = k & 1;
        for (long at = 1, over = false; !over; at++) {
            ck_assert_int_eq(tg_checkpoint_save(path, &b.all), TG_OK);
            fflush(NULL);
            const pid_t child = fork();
            if (!child) {
                fault_at(at, 0, false);
                fault.kill = true;
                fault.halfway = k & 2;
                _exit(save_a() ? 1 : 0);
            }
            int status;
            waitpid(child, &status, 0);
            ck_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 0));
            over = WEXITSTATUS(status) == 0;
            run c;
            run_new(&c, (run_config){ .seed = 7 });
            ck_assert_msg(tg_checkpoint_load(path, &c.all) == TG_OK, "call %ld: %s", at,
                          tg_context_message(c.cx));
            const bool is_old = state_of(&c) == state_of(&b), is_new = state_of(&c) == state_of(&a);
            ck_assert_msg(is_old || is_new, "call %ld: a mixture", at);
            ck_assert(!over || is_new);
            seen_old |= is_old;
            seen_new |= is_new;
            run_free(&c);
        }
        ck_assert(seen_old && seen_new);
        ck_assert_int_eq(tg_checkpoint_save(path, &b.all), TG_OK); /* removes what was left over */
        ck_assert_int_eq(folder_count(), 1 + !access(in_folder("x.h5.1"), F_OK));
    }
}
END_TEST

START_TEST(two_processes_that_save_at_once_leave_a_good_file)
{
    ck_assert_int_eq(save_a(), TG_OK);
    pid_t child[2];
    fflush(NULL);
    for (int k = 0; k < 2; k++)
        if (!(child[k] = fork())) {
            run *r = k ? &a : &b;
            r->all.keep_previous = k;
            for (int done = 0; done < 25;) {
                const tg_status s = tg_checkpoint_save(path, &r->all);
                if (s && s != TG_ERR_EXISTS) _exit(1);
                if (s) usleep(300);
                done += !s;
            }
            _exit(0);
        }
    run c;
    run_new(&c, (run_config){ .seed = 7 });
    int status, running = 2;
    while (running) {
        ck_assert_msg(tg_checkpoint_load(path, &c.all) == TG_OK, "%s", tg_context_message(c.cx));
        ck_assert(state_of(&c) == state_of(&a) || state_of(&c) == state_of(&b));
        for (int k = 0; k < 2; k++)
            if (child[k] && waitpid(child[k], &status, WNOHANG) == child[k]) {
                ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
                child[k] = 0;
                running--;
            }
    }
    run_free(&c);
    ck_assert_int_eq(tg_checkpoint_verify(a.cx, in_folder("x.h5.1")), TG_OK);
    ck_assert_int_eq(folder_count(), 2);
}
END_TEST

TG_TEST_MAIN_FIXTURE(
    "checkpoint/faults", setup, teardown, any_damage_is_found_and_changes_nothing,
    any_failing_call_of_a_save_leaves_the_old_checkpoint,
    any_failing_hdf5_call_of_a_save_leaves_the_old_checkpoint, any_failing_call_of_a_load_changes_nothing,
    any_refused_allocation_of_a_save_leaves_the_old_checkpoint,
    any_refused_allocation_of_a_load_changes_nothing, too_little_memory_for_a_load_is_never_taken_for_damage,
    a_failure_of_hdf5_for_want_of_memory_says_so, a_child_of_a_process_that_is_saving_exits_and_may_load,
    a_crash_at_any_call_leaves_a_checkpoint_that_loads, two_processes_that_save_at_once_leave_a_good_file)
