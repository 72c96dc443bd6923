# SPDX-License-Identifier: MIT
# The corpus of ZIPs, made once per build.
set(archives ${CMAKE_CURRENT_BINARY_DIR}/archives)
add_custom_command(
  OUTPUT ${archives}.made
  COMMAND ${PADDOCK_PYTHON} ${PROJECT_SOURCE_DIR}/tests/importer/make_archives.py ${archives}
  COMMAND ${CMAKE_COMMAND} -E touch ${archives}.made
  DEPENDS ${PROJECT_SOURCE_DIR}/tests/importer/make_archives.py
  VERBATIM)
add_custom_target(archives DEPENDS ${archives}.made)

unit_test(archive archive)
add_dependencies(archive_test archives)
set_tests_properties(unit.archive PROPERTIES ENVIRONMENT "PADDOCK_ARCHIVES=${archives}")

unit_test(source archive)

add_executable(importer_test ${PROJECT_SOURCE_DIR}/tests/importer/importer_test.c)
target_link_libraries(importer_test PRIVATE importer PkgConfig::python PkgConfig::cmocka)
set_target_properties(importer_test PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
add_test(NAME unit.importer COMMAND importer_test)

# Python leaks at its end, of which there are several here.
add_executable(interpreter_test ${PROJECT_SOURCE_DIR}/tests/importer/interpreter_test.c)
target_link_libraries(interpreter_test PRIVATE importer PkgConfig::python PkgConfig::cmocka)
set_target_properties(interpreter_test PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
add_dependencies(interpreter_test archives)
add_test(NAME unit.interpreter COMMAND interpreter_test)
set_tests_properties(unit.interpreter PROPERTIES ENVIRONMENT "PADDOCK_ARCHIVES=${archives};ASAN_OPTIONS=detect_leaks=0")
