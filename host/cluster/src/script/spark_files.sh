
# What others have written to a file that has lines of ours, all of them ended.
without_our_lines() {
  local line ours=''
  [[ -f $1 ]] || return 0
  while IFS= read -r line || [[ -n $line ]]; do
    case $line in
      '# kiln: begin') ours=yes ;;
      '# kiln: end') ours='' ;;
      *) [[ -n $ours ]] || printf '%s\n' "$line" ;;
    esac
  done <"$1"
}

# Writes standard input to a file, as a whole or not at all. A link stays a link.
replace_file() (
  exec 2>/dev/null
  file=$(readlink -f -- "$1") && temporary=$(mktemp -- "$file.XXXXXX") && cat >"$temporary" && chmod 644 -- "$temporary" &&
    mv -fT -- "$temporary" "$file" && return
  [[ -n $temporary ]] && rm -f -- "$temporary"
  echo "kiln: cannot write $1"
)
