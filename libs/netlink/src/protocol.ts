/**
 * Who made a rule or entered a neighbour (<linux/rtnetlink.h> RTPROT_*, /etc/iproute2/rt_protos): the letter N as a number,
 * which nobody is registered for. Routes and addresses have their link to tell whose they are.
 */
export const RTPROT_NSM = 78;
