# pit_embed_scripts(OUTPUT file.c SCRIPTS a.lua b.lua ...): each script as bytes
# with its SHA-1, as `const struct rds_script script_a`. Made when CMake runs;
# a changed script makes it run again.
function(pit_embed_scripts)
  cmake_parse_arguments(ARG "" "OUTPUT" "SCRIPTS" ${ARGN})
  set(text "/* Made by cmake/embed_scripts.cmake: do not edit. */\n#include \"queue/script.h\"\n")
  foreach(path ${ARG_SCRIPTS})
    get_filename_component(name ${path} NAME_WE)
    file(SHA1 ${path} sha1)
    file(READ ${path} hex HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
    string(APPEND text "\nstatic const char ${name}_text[] = {${bytes}0};\n"
      "const struct rds_script script_${name} = {\"${name}\", ${name}_text, \"${sha1}\"};\n")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
  endforeach()
  file(CONFIGURE OUTPUT ${ARG_OUTPUT} CONTENT "${text}" @ONLY)
endfunction()
