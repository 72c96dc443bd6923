/* SPDX-License-Identifier: MIT */
/*
 * The python3 command, of the libpython that the pool runs. A program of the benchmark;
 * trusts its arguments. Debian's own command is linked with another build of the same
 * sources, which is a fifth faster.
 */
#include <Python.h>

int main(int argc, char **argv)
{
    return Py_BytesMain(argc, argv);
}
