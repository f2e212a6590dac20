// UTF-8 for QuickJS, which has no TextEncoder and no TextDecoder.

export function encode(text) {
  const escaped = unescape(encodeURIComponent(text));
  return Uint8Array.from(escaped, (character) => character.charCodeAt(0));
}

// In pieces: a call takes only so many arguments.
export function decode(bytes) {
  let escaped = "";
  for (let start = 0; start < bytes.length; start += 8192) {
    escaped += String.fromCharCode(...bytes.subarray(start, start + 8192));
  }
  return decodeURIComponent(escape(escaped));
}
