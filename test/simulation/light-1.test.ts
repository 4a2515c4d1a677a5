import { lightSuite } from "./light-suite.ts";

lightSuite({ part: 0, of: 2 });
