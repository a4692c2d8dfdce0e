/* kernels/blas.c -- see blas.h. */
#include "kernels/blas.h"

#include <cblas.h>
#undef I /* cblas.h brings complex.h, whose I is our input size */
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "core/context.h"

#if TG_DOUBLE
#define gemm cblas_dgemm
#define gemv cblas_dgemv
#else
#define gemm cblas_sgemm
#define gemv cblas_sgemv
#endif

/* Functions of OpenBLAS, if it exports them. It keeps a buffer that was freed for the next product. */
void *blas_memory_alloc(int position) __attribute__((weak));
void blas_memory_free(void *buffer) __attribute__((weak));

/* The most products at a time, and the bytes of OpenBLAS' buffer for each: 128 MiB, and up to a page more. */
enum { MOST_BUFFERS = 16 };
static const size_t BUFFER_BYTES = (size_t)130 << 20;

static bool has_address_space(int buffers)
{
    void *buffer[MOST_BUFFERS];
    int n = 0;
    while (n < buffers && (buffer[n] = mmap(NULL, BUFFER_BYTES, PROT_READ | PROT_WRITE,
                                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) != MAP_FAILED)
        n++;
    for (int i = 0; i < n; i++) munmap(buffer[i], BUFFER_BYTES);
    return n == buffers;
}

/* Makes OpenBLAS allocate its buffers now, while there is address space for them. */
static void allocate_blas_buffers(int buffers)
{
    void *buffer[MOST_BUFFERS];
    if (!blas_memory_alloc || !blas_memory_free) return;
    for (int i = 0; i < buffers; i++) buffer[i] = blas_memory_alloc(0);
    for (int i = 0; i < buffers; i++) blas_memory_free(buffer[i]);
}

static bool reserve_blas_buffers(int buffers)
{
    static atomic_flag busy = ATOMIC_FLAG_INIT; /* another context is here */
    static atomic_int reserved;
    if (atomic_load(&reserved) >= buffers) return true;
    while (atomic_flag_test_and_set(&busy)) {}
    const bool there = atomic_load(&reserved) >= buffers, room = there || has_address_space(buffers);
    if (room && !there) {
        struct rlimit limit;
        if (!getrlimit(RLIMIT_AS, &limit) && limit.rlim_cur != RLIM_INFINITY) allocate_blas_buffers(buffers);
        atomic_store(&reserved, buffers);
    }
    atomic_flag_clear(&busy);
    return room;
}

bool tg__blas_ready(tg_context *cx)
{
    static atomic_flag done = ATOMIC_FLAG_INIT;
    const int buffers = cx->threads < MOST_BUFFERS ? cx->threads : MOST_BUFFERS;
    if (!cx->config.keep_blas_threads && !atomic_flag_test_and_set(&done)) openblas_set_num_threads(1);
    if (reserve_blas_buffers(buffers)) return true;
    tg_context_fail(
        cx, TG_ERR_MEMORY,
        "out of memory: OpenBLAS needs %zu MiB of address space, %zu for each thread: raise the limit "
        "(ulimit -v), or use fewer threads",
        (size_t)buffers * (BUFFER_BYTES >> 20), BUFFER_BYTES >> 20);
    return false;
}

/* OpenBLAS rejects strides less than the length of a row, even of a matrix with one row. */
static int valid_stride(int stride, int columns) { return stride < columns ? columns : stride; }

void tg__matmul_piece(transposed a, transposed b, int m, int n, int k, const tg_real *A, int A_stride,
                      const tg_real *B, int B_stride, int keep, tg_real *C, int C_stride)
{
    if (m == 1 && a == NORMAL) { /* one row: c = a op(B) is a product with a vector */
        if (b == NORMAL)
            gemv(CblasRowMajor, CblasTrans, k, n, 1, B, valid_stride(B_stride, n), A, 1, (tg_real)keep, C, 1);
        else
            gemv(CblasRowMajor, CblasNoTrans, n, k, 1, B, valid_stride(B_stride, k), A, 1, (tg_real)keep, C,
                 1);
        return;
    }
    gemm(CblasRowMajor, a == NORMAL ? CblasNoTrans : CblasTrans, b == NORMAL ? CblasNoTrans : CblasTrans, m,
         n, k, 1, A, valid_stride(A_stride, a == NORMAL ? k : m), B,
         valid_stride(B_stride, b == NORMAL ? n : k), (tg_real)keep, C, valid_stride(C_stride, n));
}
