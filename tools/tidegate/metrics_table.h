/* tools/tidegate/metrics_table.h -- a run's metrics.csv, read back: one column of numbers for each name. */
#ifndef METRICS_TABLE_H
#define METRICS_TABLE_H

#include <stdbool.h>

/* In the order of the file. */
enum {
    METRICS_STEP,
    METRICS_EPOCH,
    METRICS_TRAIN_LOSS,
    METRICS_VALID_LOSS,
    METRICS_LR,
    METRICS_GRAD_NORM,
    METRICS_SPEED,
    METRICS_SECONDS,
    METRICS_COLUMNS
};

typedef struct metrics_table {
    int rows; /* at least 1 */
    double
        *column[METRICS_COLUMNS]; /* (rows): NaN where nothing stands, INFINITY where what stands is no number
                                       * to draw: nan, inf, or beyond 1e30. Steps are finite, and ascend. */
    int not_finite, first_not_finite; /* how many of the latter; the line of the first */
    int cut_off;                      /* the line that has no end, and was left out; 0: none */
} metrics_table;

/* false: it cannot be read, and one sentence with file and line was said. Of a row that was cut off, by a crash or
 * because it is being written now, nothing is kept. */
bool metrics_table_read(metrics_table *m, const char *path);
void metrics_table_free(metrics_table *m);

#endif
