/* tests/check_main.h -- one suite a file: TG_TEST_MAIN("floor/unit", test, test, ...). */
#ifndef CHECK_MAIN_H
#define CHECK_MAIN_H

#include <check.h>
#include <stdlib.h>

/* Runs a suite and prints Check's closing counts; main()'s result. */
static inline int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Runs the tests of one file and prints Check's closing counts. The time limit of each test is 60
 * seconds; CK_FORK=no runs them in this process, for a debugger. */
#define TG_TEST_MAIN(suite_name, ...)                                                                        \
    int main(void)                                                                                           \
    {                                                                                                        \
        const TTest *const tests[] = { __VA_ARGS__ };                                                        \
        Suite *suite = suite_create(suite_name);                                                             \
        TCase *all = tcase_create("all");                                                                    \
        tcase_set_timeout(all, 60);                                                                          \
        for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(all, tests[i]);             \
        suite_add_tcase(suite, all);                                                                         \
        return run_suite(suite);                                                                             \
    }

#endif
