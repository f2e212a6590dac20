
# --- sources that ask who reads ---------------------------------------------------------------------------------------

# What `curl` is to do for a file of the source, as lines of its configuration: read from a pipe, so that no secret is on a
# command line. Status 1: nobody says who we are.
describe_download() {
  local place container host suffix
  printf '%s\n' fail silent show-error 'connect-timeout = 10' 'max-time = 300'
  case $bundle_source in
    s3://*) describe_s3 "${bundle_source#s3://}/$1" ;;
    gs://*)
      google_token && bearer
      setting url "https://storage.googleapis.com/${bundle_source#gs://}/$1"
      ;;
    abfss://*)
      # container@account.dfs.suffix/path, as the blob service has it.
      place=${bundle_source#abfss://} container=${place%%@*} place=${place#*@}
      host=${place%%/*} suffix=${host#*.dfs.} place=${place#"$host"}
      azure_token && bearer
      setting header "x-ms-version: 2021-08-06"
      setting url "https://${host%%.*}.blob.$suffix/$container$place/$1"
      ;;
    *)
      # A header of ours is not taken along to another host.
      printf '%s\n' location 'max-redirs = 3' 'proto-redir = "=https"'
      token=${KILN_SOURCE_TOKEN:-} && bearer
      setting url "$bundle_source/$1"
      ;;
  esac
}

# A line of a curl configuration. Inside the quotes only these two mean something.
setting() {
  local value=${2//\\/\\\\}
  printf '%s = "%s"\n' "$1" "${value//\"/\\\"}"
}

bearer() {
  [[ -z $token ]] || setting header "Authorization: Bearer $token"
}

# The identity of the machine, from the only place that knows it, which answers in milliseconds or not at all: a URL, a
# header, and a method if it is not GET.
ask_metadata() {
  {
    printf '%s\n' fail silent 'noproxy = "*"' 'connect-timeout = 2' 'max-time = 5'
    setting url "$1"
    setting header "$2"
    [[ -z ${3:-} ]] || setting request "$3"
  } | curl -q --config -
}

# The text of a member of a JSON object, of those that have no escapes.
json_text() {
  [[ $2 =~ \"$1\"[[:space:]]*:[[:space:]]*\"([^\"\\]+)\" ]] && printf '%s' "${BASH_REMATCH[1]}"
}

google_token() {
  token=${KILN_SOURCE_TOKEN:-}
  [[ -n $token ]] || token=$(json_text access_token "$(ask_metadata \
    'http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token' \
    'Metadata-Flavor: Google')") || say "no service account says who reads $bundle_source" >&2
}

azure_token() {
  local answer tenant=${AZURE_TENANT_ID:-} identity=http://169.254.169.254/metadata/identity/oauth2/token
  token=${KILN_SOURCE_TOKEN:-}
  [[ -z $token ]] || return 0
  if [[ $tenant =~ ^[A-Za-z0-9.-]+$ && -n ${AZURE_CLIENT_ID:-} && -n ${AZURE_CLIENT_SECRET:-} ]]; then
    answer=$(
      {
        printf '%s\n' fail silent 'connect-timeout = 10' 'max-time = 30'
        setting url "https://login.microsoftonline.com/$tenant/oauth2/v2.0/token"
        setting data "grant_type=client_credentials"
        setting data "scope=https%3A%2F%2Fstorage.azure.com%2F.default"
        setting data-urlencode "client_id=$AZURE_CLIENT_ID"
        setting data-urlencode "client_secret=$AZURE_CLIENT_SECRET"
      } | curl -q --config -
    )
  else
    answer=$(ask_metadata "$identity?api-version=2018-02-01&resource=https%3A%2F%2Fstorage.azure.com%2F" \
      'Metadata: true')
  fi
  token=$(json_text access_token "$answer") ||
    say "neither a service principal nor a managed identity says who reads $bundle_source" >&2
}

# --- S3: AWS Signature Version 4 ----------------------------------------------------------------------------------------

describe_s3() {
  local path=/$1 region=${AWS_REGION:-${AWS_DEFAULT_REGION:-}} day time host headers='' names='' canonical scope
  aws_identity
  [[ -n $region ]] || region=$aws_region
  if ! [[ $region =~ ^[a-z0-9-]+$ ]]; then
    say "no region: set AWS_REGION to that of $bundle_source" >&2
    return 1
  fi
  host=s3.$region.amazonaws.com
  [[ $region = cn-* ]] && host+=.cn
  if [[ -n $aws_secret ]]; then
    time=$(TZ=UTC printf '%(%Y%m%dT%H%M%SZ)T' -1) day=${time%T*}
    headers="host:$host"$'\n'"x-amz-content-sha256:UNSIGNED-PAYLOAD"$'\n'"x-amz-date:$time"$'\n'
    names='host;x-amz-content-sha256;x-amz-date'
    if [[ -n $aws_token ]]; then
      headers+="x-amz-security-token:$aws_token"$'\n'
      names+=';x-amz-security-token'
      setting header "x-amz-security-token: $aws_token"
    fi
    canonical="GET"$'\n'"$path"$'\n\n'"$headers"$'\n'"$names"$'\nUNSIGNED-PAYLOAD'
    scope="$day/$region/s3/aws4_request"
    setting header "x-amz-content-sha256: UNSIGNED-PAYLOAD"
    setting header "x-amz-date: $time"
    setting header "Authorization: AWS4-HMAC-SHA256 Credential=$aws_id/$scope,SignedHeaders=$names,Signature=$(
      sign_for_s3 "$aws_secret" "$day" "$region" "$time" "$scope" "$canonical"
    )"
  fi
  setting url "https://$host$path"
}

# Sets `aws_id`, `aws_secret`, `aws_token` and `aws_region`: from the environment, or of the instance profile. A bucket for
# everybody needs none.
aws_identity() {
  local pass role answer base=http://169.254.169.254/latest
  aws_id=${AWS_ACCESS_KEY_ID:-} aws_secret=${AWS_SECRET_ACCESS_KEY:-} aws_token=${AWS_SESSION_TOKEN:-} aws_region=
  [[ -n $aws_secret && -n ${AWS_REGION:-${AWS_DEFAULT_REGION:-}} ]] && return
  pass=$(ask_metadata "$base/api/token" 'X-aws-ec2-metadata-token-ttl-seconds: 300' PUT) || return 0
  pass="X-aws-ec2-metadata-token: $pass"
  aws_region=$(ask_metadata "$base/meta-data/placement/region" "$pass")
  [[ -z $aws_secret ]] || return 0
  role=$(ask_metadata "$base/meta-data/iam/security-credentials/" "$pass") || return 0
  [[ $role =~ ^[A-Za-z0-9+=,.@_-]+$ ]] || return 0
  answer=$(ask_metadata "$base/meta-data/iam/security-credentials/$role" "$pass")
  aws_id=$(json_text AccessKeyId "$answer") aws_secret=$(json_text SecretAccessKey "$answer")
  aws_token=$(json_text Token "$answer")
}

# secret, day, region, time, scope, canonical request
sign_for_s3() {
  local key digest
  key=$(hmac_sha256 "$(to_hex "AWS4$1")" "$2")
  key=$(hmac_sha256 "$key" "$3")
  key=$(hmac_sha256 "$key" s3)
  key=$(hmac_sha256 "$key" aws4_request)
  digest=$(printf %s "$6" | sha256sum)
  hmac_sha256 "$key" "AWS4-HMAC-SHA256"$'\n'"$4"$'\n'"$5"$'\n'"${digest%% *}"
}

# Of a key in hexadecimal and a text, in hexadecimal (RFC 2104). Made of what the shell has built in, because a program
# would be given the key on its command line.
hmac_sha256() {
  local key=$1 inner='' outer='' byte i
  if ((${#key} > 128)); then
    key=$(from_hex "$key" | sha256sum) key=${key%% *}
  fi
  for ((i = 0; i < 128; i += 2)); do
    byte=${key:i:2}
    printf -v inner '%s%02x' "$inner" "$((0x${byte:-00} ^ 0x36))"
    printf -v outer '%s%02x' "$outer" "$((0x${byte:-00} ^ 0x5c))"
  done
  inner=$({ from_hex "$inner" && printf %s "$2"; } | sha256sum)
  outer=$(from_hex "$outer${inner%% *}" | sha256sum)
  printf %s "${outer%% *}"
}

from_hex() {
  local hex=$1 text='' i
  for ((i = 0; i < ${#hex}; i += 2)); do
    text+="\\x${hex:i:2}"
  done
  # shellcheck disable=SC2059 # the format is what was just made
  printf "$text"
}

to_hex() {
  local LC_ALL=C text=$1 hex='' i
  for ((i = 0; i < ${#text}; i++)); do
    printf -v hex '%s%02x' "$hex" "'${text:i:1}"
  done
  printf %s "$hex"
}
