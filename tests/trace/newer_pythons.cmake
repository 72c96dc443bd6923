# SPDX-License-Identifier: MIT
# Which newer Pythons with a shared library and headers there are, to try monitoring.c in: the commands python3.N, the Pythons
# of pyenv, and those that PADDOCK_NEWER_PYTHONS names. Sets newer_pythons to a list of versions, and for each
# newer_python_VERSION_headers, _library and _prefix. A machine without any tries none.
set(PADDOCK_NEWER_PYTHONS "" CACHE STRING "Commands of further Pythons, 3.12 or later, to try the tracer in")

set(commands ${PADDOCK_NEWER_PYTHONS})
foreach(version 3.12 3.13)
  find_program(python_${version} python${version} NO_CACHE)
  if(python_${version})
    list(APPEND commands ${python_${version}})
  endif()
endforeach()
find_program(pyenv pyenv NO_CACHE)
if(pyenv)
  execute_process(COMMAND ${pyenv} root OUTPUT_VARIABLE root OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  file(GLOB found ${root}/versions/3.1[23]*/bin/python3)
  list(APPEND commands ${found})
endif()

set(question [[
import os, sys, sysconfig as s
library = os.path.join(s.get_config_var("LIBDIR"), s.get_config_var("LDLIBRARY"))
headers = s.get_path("include")
there = library.endswith(".so") and os.path.exists(library) and os.path.exists(os.path.join(headers, "internal"))
print("%d.%d" % sys.version_info[:2], headers, library, sys.prefix, sep=";") if there else sys.exit(1)]])
set(newer_pythons)
foreach(command ${commands})
  execute_process(COMMAND ${command} -I -c "${question}" OUTPUT_VARIABLE answer RESULT_VARIABLE result
                  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(result EQUAL 0)
    list(GET answer 0 version)
    if(version VERSION_GREATER_EQUAL 3.12 AND NOT version IN_LIST newer_pythons)
      list(APPEND newer_pythons ${version})
      list(GET answer 1 newer_python_${version}_headers)
      list(GET answer 2 newer_python_${version}_library)
      list(GET answer 3 newer_python_${version}_prefix)
    endif()
  endif()
endforeach()
