# SPDX-License-Identifier: MIT
# The .deb: `cmake --preset package`, `cmake --build --preset package --target package`.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME paddock)
set(CPACK_PACKAGE_CONTACT "The developers of Paddock <paddock@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_PACKAGE_DESCRIPTION
"Programs, ZIPs of Python, are imported from memory and run in processes that were
forked and locked ahead of them. What they print and do streams back through Redis.
With a service that starts at once, and a Redis of its own for the queue.")
set(CPACK_PACKAGE_FILE_NAME paddock_${PROJECT_VERSION}_amd64)
set(CPACK_SET_DESTDIR ON) # /etc is beside the prefix
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# The library's archive is made of Python's when the package is installed.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "redis-server (>= 5:7.0), libpython3.11-stdlib, tzdata, init-system-helpers, \
systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS python3-redis) # for paddock-loadtest
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/package_files.cmake)
set(maintainer_scripts ${PROJECT_SOURCE_DIR}/deploy/package)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${maintainer_scripts}/postinst ${maintainer_scripts}/prerm ${maintainer_scripts}/postrm
  ${maintainer_scripts}/triggers ${maintainer_scripts}/conffiles)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
