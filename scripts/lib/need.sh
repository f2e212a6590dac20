# shellcheck shell=bash
# A need is three functions: NAME_present (is it here?), NAME_what (what would be installed, and why)
# and NAME_install. What is missing is announced in full before any of it is installed.

# meet_needs NAME...
meet_needs() {
  local need missing=()
  for need in "$@"; do
    "${need}_present" || missing+=("$need")
  done
  [ "${#missing[@]}" -eq 0 ] && return 0

  say 'To be installed:'
  for need in "${missing[@]}"; do
    say "  - $("${need}_what")"
  done
  for need in "${missing[@]}"; do
    "${need}_install"
  done
}
