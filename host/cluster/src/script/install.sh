
# --- bundle -----------------------------------------------------------------------------------------------------------

# Sets `wanted`, of the same shape as `bundle_files`: what this machine needs.
choose_files() {
  local machine architecture i has=() has_ours=
  machine=$(uname -m)
  wanted=()
  for ((i = 0; i < ${#bundle_files[@]}; i += 4)); do
    architecture=${bundle_files[i]}
    if [[ $architecture = any || $architecture = "$machine" ]]; then
      wanted+=("${bundle_files[@]:i:4}")
    fi
    [[ $architecture = any ]] || has+=("$architecture")
    [[ $architecture = "$machine" ]] && has_ours=yes
  done
  [[ -n $has_ours ]] && return
  verdict "not started: this machine is $machine and the bundle in $bundle_source has kiln for ${has[*]} only:" \
    "add a kiln-$machine to the bundle and render the init script again"
  return 1
}

install_bundle() {
  local attempt status delay=1
  for ((attempt = 1; attempt <= 12; attempt++)); do
    fetch_bundle
    status=$?
    release_caller
    case $status in
      0)
        say "installed from $bundle_source"
        return
        ;;
      2)
        verdict "not started: the bundle is not the one this init script was rendered for; render it again"
        rm -rf -- "$home/incoming"
        return 1
        ;;
    esac
    say "trying again in $delay s"
    pause "$delay"
    ((delay = delay * 2 > 60 ? 60 : delay * 2))
  done
  verdict "not started: gave up on $bundle_source"
  rm -rf -- "$home/incoming"
  return 1
}

# Status 1: worth another try. Status 2: refused.
fetch_bundle() {
  local i digest size name target found
  rm -rf -- "$home/incoming"
  mkdir -p -- "$home/incoming/plugins" || return 1
  for ((i = 0; i < ${#wanted[@]}; i += 4)); do
    digest=${wanted[i + 1]} size=${wanted[i + 2]} name=${wanted[i + 3]}
    target="$home/incoming/$name"
    [[ ${wanted[i]} = any || $name = *.tar.gz ]] || target="$home/incoming/kiln"
    # One byte more than expected is enough to know that a file is too long, however long it is.
    if ! patiently read_source "$name" "$((size + 1))" >"$target"; then
      say "cannot read $bundle_source/$name, or cannot write it to $home"
      return 1
    fi
    found=$(stat -c %s -- "$target")
    if [[ $found != "$size" ]]; then
      ((found > size)) && found='more'
      say "refused $bundle_source/$name: it should have $size bytes and has $found"
      return 2
    fi
    found=$(sha256sum <"$target")
    if [[ ${found%% *} != "$digest" ]]; then
      say "refused $bundle_source/$name: its sha256 should be $digest and is ${found%% *}"
      return 2
    fi
  done
  unpack_archive || return 1
  chmod 700 -- "$home/incoming/kiln" && read_env_file && rm -rf -- "$home/current" &&
    mv -- "$home/incoming" "$home/current" && mkdir -p -- "$home/data"
}

# Sets `bundle_digest`, by which Kiln trusts the native code in the bundle: of a list that came in a file that was just
# found to be the one this script was rendered for.
unpack_archive() {
  local archive
  bundle_digest=
  for archive in "$home/incoming/"*.tar.gz; do
    [[ -e $archive ]] || return 0
    if ! tar -xzf "$archive" -C "$home/incoming" --no-same-owner --no-same-permissions; then
      say "cannot unpack $archive"
      return 1
    fi
    rm -f -- "$archive"
    bundle_digest=$(sha256sum <"$home/incoming/SHA256SUMS") bundle_digest=sha256:${bundle_digest%% *}
  done
}

read_source() {
  set -o pipefail
  case $bundle_source in
    *://*) describe_download "$1" | curl -q --config - | head -c "$2" ;;
    *) timeout --foreground 300 head -c "$2" -- "$bundle_source/$1" ;;
  esac
}

# Runtimes that keep custom cluster variables from init scripts leave a file beside the bundle as the only way in. It is
# not pinned, because secrets change; so it may name what Kiln reads and not what changes how a program is loaded.
# A line is never logged: it may hold a secret.
read_env_file() {
  local LC_ALL=C file="$bundle_source/kiln.env" line number=0
  env_names=() env_values=()
  [[ $bundle_source = /* && -f $file ]] || return 0
  if (($(stat -Lc %s -- "$file") > 65536)); then
    say "kiln.env left out: it is longer than 64 KiB"
    return 0
  fi
  while IFS= read -r line || [[ -n $line ]]; do
    ((++number))
    line=${line%$'\r'}
    [[ -z $line || $line = '#'* ]] && continue
    if ! [[ $line =~ ^([A-Z][A-Z0-9_]*)=([^\"\'].*)?$ ]]; then
      say "kiln.env line $number left out: write it as NAME=value, without quotes or export"
      continue
    fi
    case ${BASH_REMATCH[1]} in
      OTEL_* | OTLP_* | KILN_* | DATABRICKS_* | HTTP_PROXY | HTTPS_PROXY | NO_PROXY)
        env_names+=("${BASH_REMATCH[1]}")
        env_values+=("${BASH_REMATCH[2]}")
        ;;
      *)
        say "kiln.env line $number left out: names start with OTEL_, OTLP_, KILN_ or DATABRICKS_, or are" \
          "HTTP_PROXY, HTTPS_PROXY or NO_PROXY"
        ;;
    esac
  done < <(timeout 10 head -c 65536 -- "$file")
}
