# pit_embed_scripts(OUTPUT file.c DIR dir SCRIPTS a.lua b.lua ...): each script
# as bytes with its SHA-1, as `const struct rds_script script_a`, and as a file
# in DIR, ready to be loaded by a client in any language. A line
# `-- include: name` stands for the text of include/name.lua beside the script.
# Made when CMake runs; a changed script or include makes it run again.
function(pit_embed_scripts)
  cmake_parse_arguments(ARG "" "OUTPUT;DIR" "SCRIPTS" ${ARGN})
  set(text "/* Made by cmake/embed_scripts.cmake: do not edit. */\n#include \"queue/script.h\"\n")
  file(REMOVE_RECURSE ${ARG_DIR})
  foreach(path ${ARG_SCRIPTS})
    get_filename_component(name ${path} NAME_WE)
    get_filename_component(beside ${path} DIRECTORY)
    file(READ ${path} script)
    string(REGEX MATCHALL "\n-- include: [a-z_]+" lines "${script}")
    foreach(line ${lines})
      string(REGEX REPLACE "\n-- include: " "" included "${line}")
      file(READ ${beside}/include/${included}.lua part)
      string(REPLACE "-- include: ${included}\n" "${part}" script "${script}")
      set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
        ${beside}/include/${included}.lua)
    endforeach()
    file(WRITE ${ARG_DIR}/${name}.lua "${script}")
    file(SHA1 ${ARG_DIR}/${name}.lua sha1)
    file(READ ${ARG_DIR}/${name}.lua hex HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
    string(APPEND text "\nstatic const char ${name}_text[] = {${bytes}0};\n"
      "const struct rds_script script_${name} = {\"${name}\", ${name}_text, \"${sha1}\"};\n")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
  endforeach()
  file(CONFIGURE OUTPUT ${ARG_OUTPUT} CONTENT "${text}" @ONLY)
endfunction()
