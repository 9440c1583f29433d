"""The 28 lipid variants, 6 calcium variants and 13 BCG trials that R's packages ship."""

import numpy as np

from seqtrust.mendelian import Effects


def numbers(text):
    return np.array([float(word) for word in text.split()])


LDL = Effects(
    numbers(
        ".026 -.044 -.038 -.023 -.017 -.031 -.018 .046 .059 .004 .011 -.005 .004 .022 -.005 -.002 "
        "-.002 .004 .011 .009 -.011 -.003 -.012 .0003 -.015 -.008 .009 -.036"
    ),
    numbers(
        ".004 .004 .004 .003 .003 .006 .004 .007 .004 .003 .004 .005 .005 .005 .004 .004 .003 .004 "
        ".004 .003 .004 .003 .004 .003 .003 .004 .003 .007"
    ),
)
HDL = Effects(
    numbers(
        ".002 .005 .003 .001 .011 .031 -.003 -.007 -.021 .018 -.017 -.047 .022 -.029 .016 .034 "
        ".035 .019 .028 .0001 .016 .005 -.01 -.023 .012 .018 -.006 .004"
    ),
    numbers(
        ".004 .004 .004 .003 .003 .006 .004 .006 .004 .003 .003 .005 .004 .004 .003 .004 .003 .004 "
        ".004 .003 .003 .003 .004 .003 .003 .003 .003 .006"
    ),
)
CHD = Effects(
    numbers(
        ".0677 -.1625 -.1054 -.0619 -.0834 -.1278 -.0408 .077 .157 -.0305 .01 .1823 -.0408 .1989 "
        ".01 .0488 .01 -.0408 -.0305 -.0408 -.0202 -.0619 .0296 .0677 -.0726 -.0726 0 .0198"
    ),
    numbers(
        ".0286 .03 .031 .0243 .0222 .0667 .0373 .0543 .0306 .0236 .0277 .0403 .0344 .0335 .0378 "
        ".0292 .0253 .0319 .0316 .0241 .0285 .0217 .0298 .0239 .022 .0246 .0255 .0647"
    ),
)
CALCIUM = Effects(
    numbers(".006246051 .005895818 .01822305 .005981963 .008251297 .006506792"),
    numbers(".002330815 .003378754 .003184402 .002332896 .002294364 .003522892"),
)
GLUCOSE = Effects(
    numbers(".02804893 .009531279 .03645535 .01049286 .02356808 .002043086"),
    numbers(".01221235 .01983954 .0173487 .01193856 .0122093 .01788444"),
)
RHO = np.eye(6)
RHO[np.triu_indices(6, 1)] = numbers(
    ".06971347 .09378641 -.172356 .07896531 -.1035624 -.04972124 .08131511 -.0803666 -.01395116 "
    "-.3060742 .3490322 -.1337653 -.1290077 .4464494 -.2888231"
)
RHO += np.triu(RHO, 1).T

BCG = numbers(
    "-.8893113339 -1.5853886572 -1.3480731483 -1.44155119 -.2175473222 -.7861155858 -1.6208982236 "
    ".0119523335 -.4694176487 -1.3713448035 -.3393588283 .4459134006 -.0173139482"
)
BCG_VARIANCE = numbers(
    ".325584765 .1945811214 .4153679654 .0200100319 .0512101722 .0069056185 .2230172476 "
    ".0039615793 .0564342105 .0730247936 .012412214 .5325058452 .0714046597"
)


def random_effects(rng, shape, slope=0.7, noise=0.05, gaps=True):
    """Exposure and outcome effects; a fifth of the instruments is missing."""
    beta = rng.uniform(0.2, 1, shape) * rng.choice([-1, 1], shape)
    sx, sy = rng.uniform(0.5, 1, shape) * noise, rng.uniform(0.5, 2, shape) * noise
    x = beta + sx * rng.standard_normal(shape)
    y = slope * beta + 2 * sy * rng.standard_normal(shape)
    if gaps:
        x[rng.random(shape) < 0.2] = np.nan
    return Effects(x, sx), Effects(y, sy)


def of_locus(effects, index, kept):
    """One locus without its missing instruments."""
    return Effects(effects.beta[index][kept], effects.se[index][kept])
