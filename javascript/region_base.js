"use strict";
// The one global of these scripts.

var tiledDiffusion = tiledDiffusion || {};
