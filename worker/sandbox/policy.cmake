# SPDX-License-Identifier: MIT
# The table of system calls, and its compilation into filters at build time.
add_library(policy_table OBJECT policy.c)
target_link_libraries(policy_table PUBLIC common)

add_executable(policy_compile policy_compile.c $<TARGET_OBJECTS:policy_table>
               ${CMAKE_CURRENT_SOURCE_DIR}/policy_none.c)
target_link_libraries(policy_compile PRIVATE common PkgConfig::libseccomp)
set_target_properties(policy_compile PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})

set(policy_filters ${CMAKE_CURRENT_BINARY_DIR}/policy_filters.c)
add_custom_command(
  OUTPUT ${policy_filters}
  COMMAND ${CMAKE_COMMAND} -E env ASAN_OPTIONS=detect_leaks=0 $<TARGET_FILE:policy_compile>
          > ${policy_filters}
  DEPENDS policy_compile
  VERBATIM)

add_library(policy STATIC $<TARGET_OBJECTS:policy_table> ${policy_filters})
target_link_libraries(policy PUBLIC common)
