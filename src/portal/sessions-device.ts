/** What a device is called to its owner: the names of its browser and its system; null where it does not say. */
export interface DeviceNames {
  readonly browser: string | null;
  readonly system: string | null;
}

type Names = readonly (readonly [pattern: RegExp, name: string])[];

/** The first that matches. Browsers name those that they descend from, so the descendants stand first. */
const BROWSERS: Names = [
  [/\bEdg(?:e|A|iOS)?\//, 'Edge'],
  [/\b(?:OPR|OPX|OPT|Opera)\//, 'Opera'],
  [/\bSamsungBrowser\//, 'Samsung Internet'],
  [/\bVivaldi\//, 'Vivaldi'],
  [/\bYaBrowser\//, 'Yandex Browser'],
  [/\b(?:Firefox|FxiOS|Focus)\//, 'Firefox'],
  [/\b(?:HeadlessChrome|Chrome|CriOS)\//, 'Chrome'],
  [/\bChromium\//, 'Chromium'],
  [/\bVersion\/[\d.]+ .*\bSafari\//, 'Safari'],
];

const SYSTEMS: Names = [
  [/\biPhone\b|\biPod\b/, 'iPhone'],
  [/\biPad\b/, 'iPad'],
  [/\bAndroid\b/, 'Android'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bWindows\b/, 'Windows'],
  [/\bMac OS X\b|\bMacintosh\b/, 'macOS'],
  [/\b(?:Free|Open|Net)BSD\b/, 'BSD'],
  [/\bLinux\b|\bX11\b/, 'Linux'],
];

/** A program that is no browser names itself at the beginning (RFC 9110, section 10.1.5). */
const PRODUCT = /^(?!Mozilla\/)([A-Za-z][A-Za-z-]{0,29})(?:\/|$)/;

/** Reads what a browser calls itself (`User-Agent`). Good enough to recognise one's own devices; it proves nothing. */
export function deviceNames(userAgent: string): DeviceNames {
  return {
    browser: firstOf(BROWSERS, userAgent) ?? PRODUCT.exec(userAgent)?.[1] ?? null,
    system: firstOf(SYSTEMS, userAgent),
  };
}

/** `Firefox on Linux`, in English, for the API and the command line. */
export function deviceSummary(userAgent: string): string {
  const { browser, system } = deviceNames(userAgent);
  if (browser === null) return system ?? 'Unknown device';
  return system === null ? browser : `${browser} on ${system}`;
}

function firstOf(names: Names, text: string): string | null {
  return names.find(([pattern]) => pattern.test(text))?.[1] ?? null;
}
