// Package cloudevents gives the events of a log the form that subscribers of any language read: CloudEvents 1.0, in structured mode
// (one JSON document) and in binary mode (attributes beside the data, as headers).
//
// What is sent is what is stored: the type is the stored type, of whatever version, and the data are the stored bytes. One id never
// has two contents, whichever version of gxpledger sends it, and whether it is sent once or again.
//
// Attributes are valid strings of CloudEvents. What cannot be one, such as a path with a line feed, is left out and stays
// readable in the data; what is not known is left out too, and never 0 or empty.
package cloudevents
