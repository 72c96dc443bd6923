# SPDX-License-Identifier: MIT
# Puts the Functions library together, as a Lua file for people and tests and as C for the programs.
execute_process(COMMAND ${CMAKE_COMMAND} -E env ASAN_OPTIONS=detect_leaks=0 ${TABLES} lua
                OUTPUT_VARIABLE tables COMMAND_ERROR_IS_FATAL ANY)
set(body)
foreach(part ${PARTS})
  file(READ ${part} text)
  string(REPLACE "-- SPDX-License-Identifier: MIT\n" "" text "${text}")
  string(APPEND body "${text}\n")
endforeach()
file(WRITE ${LIBRARY} "#!lua name=paddock\n${tables}${body}")
string(REGEX MATCH "local VERSION = ([0-9]+)" found "${tables}")
set(version ${CMAKE_MATCH_1})

execute_process(COMMAND ${CMAKE_COMMAND} -DINPUT=${LIBRARY} -DOUTPUT=${OUTPUT} -DNAME=text -P ${EMBED}
                COMMAND_ERROR_IS_FATAL ANY)
file(READ ${OUTPUT} code)
string(REPLACE "#pragma once\n\nstatic const char text[]"
               "#include \"queue/library.h\"\n\nconst int library_version = ${version};\nconst char library_text[]"
       code "${code}")
file(WRITE ${OUTPUT} "${code}")
