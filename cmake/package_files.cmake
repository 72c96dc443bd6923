# SPDX-License-Identifier: MIT
# Of what is installed the archive of Python's library is not a file of the package: postinst makes it.
file(REMOVE ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/usr/libexec/paddock/python-library.zip)
