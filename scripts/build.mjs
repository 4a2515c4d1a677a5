import { buildCommand, buildConsole, ensureInstalled } from "./ensure.mjs";

/* Compiles the command and builds the console, whether or not a source is newer: what a package is made of. */

ensureInstalled();
buildCommand();
buildConsole();
