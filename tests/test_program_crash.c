/* Loaded before HDF5, this crashes where a damaged file would. */
#include <stdlib.h>

#include <hdf5.h>

hid_t H5Fopen(const char *name, unsigned flags, hid_t access)
{
    (void)name, (void)flags, (void)access;
    abort();
}
